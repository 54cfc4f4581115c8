import { describe, expect, test } from 'vitest';
import {
  hostData,
  createDryBackend,
  createHostBackend,
  createHostMemory,
  defineOp,
  f32Array,
  f32View,
  floatArray,
  i32Array,
  i32View,
  InsufficientMemoryError,
  optional,
  partOf,
  prepareOp,
  QdyloraError,
  reshaped,
  rowsOf,
  runOp,
  viewOf,
  type ArrayView,
  type FloatDType,
  type Memory,
} from '../index.ts';

type F32 = ArrayView<'f32'>;
let calls = 0;

/** y = x · factor, moments in place, gradient added to. */
const step = defineOp({
  name: 'step',
  takes: { x: floatArray(2), ids: i32Array(1), bias: optional(f32Array(1)) },
  updates: ['state'],
  accumulates: ['gradient'],
  addsWhereAsked: 'y',
  shapes: (
    i: { x: ArrayView<FloatDType>; ids: ArrayView<'i32'>; bias?: F32 },
    _: { readonly factor: number; readonly accumulate?: boolean; readonly outDtype?: FloatDType },
  ) => {
    const spec = { dtype: 'f32' as const, shape: i.x.shape };
    return { y: spec, state: spec, gradient: spec };
  },
  reference: (_, __: { y: F32; state: F32; gradient?: F32 }) => {
    calls++;
  },
});

const x = f32View([2, 3]);
const ids = i32View([2], [0, 1]);
const state = f32View([2, 3]);
const attributes = { factor: 2 };

/** What a call is refused with; its reference must not have run. */
function refusal(run: () => unknown): string {
  const before = calls;
  try {
    run();
  } catch (error) {
    expect(calls, 'the op ran').toBe(before);
    if (!QdyloraError.isInstance(error)) throw error;
    return `${error.code} ${error.message}`;
  }
  throw new Error('it was not refused');
}

describe.each([
  ['in host memory', createHostBackend()],
  ['on a dry backend', createDryBackend()],
])('a call %s', (_, backend) => {
  /** The same arrays in the memory of this backend. */
  const placed = (arrays: object): never =>
    Object.fromEntries(
      Object.entries(arrays).map(([name, view]) => [
        name,
        view ? backend.memory.allocate(view.dtype, view.shape) : view,
      ]),
    ) as never;
  const call = (inputs: object, outputs: object = { state }, with_: object = attributes): string =>
    refusal(() => runOp(backend, step, placed({ x, ids, ...inputs }), with_ as never, placed(outputs)));

  test('runs with what it takes and without what it may leave out', () => {
    for (const inputs of [
      { x, ids },
      { x, ids, bias: undefined },
      { x: viewOf('bf16', [2, 3], new Uint16Array(6)), ids, bias: f32View([3]) },
    ])
      expect(runOp(backend, step, placed(inputs), attributes, placed({ state })).gradient).toBeUndefined();
  });

  test('without an input that it needs names it and all that it needs', () => {
    expect(call({ ids: undefined })).toBe(
      'BAD_ARGUMENT [step] the input ids is missing (got x). A call needs x, ids.',
    );
    expect(call({ ids: null })).toBe('BAD_ARGUMENT [step] ids must be an array view, but it is null.');
    expect(call({ bias: null })).toBe(
      'BAD_ARGUMENT [step] bias must be an array view, but it is null. Use undefined to leave it out.',
    );
  });

  test('with another element type or another number of axes names the input', () => {
    expect(call({ ids: f32View([2]) })).toBe('BAD_ARGUMENT [step] ids must be i32, but it is f32.');
    expect(call({ x: i32View([2, 3], new Int32Array(6)) })).toBe(
      'BAD_ARGUMENT [step] x must be f32 or bf16 or f16, but it is i32.',
    );
    expect(call({ x: f32View([6]) })).toBe('BAD_SHAPE [step] x must have 2 axes, but it is [6].');
    expect(call({ bias: f32View([3, 1]) })).toBe(
      'BAD_SHAPE [step] bias must have one axis, but it is [3, 1].',
    );
  });

  test('without an output that it changes names it, also where an attribute says that it adds', () => {
    expect(call({}, {})).toMatch(
      /^BAD_ARGUMENT \[step\] the output state is missing: the op changes it in place/,
    );
    expect(call({}, { state }, { factor: 2, accumulate: true })).toMatch(
      /the output y is missing: the op adds to it, because `accumulate` is true/,
    );
    expect(
      runOp(
        backend,
        step,
        placed({ x, ids }),
        { factor: 2, accumulate: true },
        placed({ state, y: f32View([2, 3]) }),
      ).y.shape,
    ).toEqual([2, 3]);
  });

  test('with an output that the op does not have names it and those that it has', () => {
    expect(call({}, { state, grad: f32View([2, 3]) })).toMatch(
      /^BAD_ARGUMENT \[step\] there is no output grad; the outputs are .*state/,
    );
  });

  test('with an input that the op does not have names it and those that it has', () => {
    expect(call({ byas: f32View([3]) })).toBe(
      'BAD_ARGUMENT [step] there is no input byas; the inputs are x, ids, bias.',
    );
    expect(call({ byas: undefined }, {})).toMatch(/the output state is missing/);
  });

  test('with an attribute that is no number, or no float type, names it', () => {
    expect(call({}, { state }, { factor: NaN })).toBe(
      'BAD_ARGUMENT [step] factor must be a number, but it is NaN.',
    );
    expect(call({}, { state }, { factor: 1, outDtype: 'fp16' })).toBe(
      'BAD_ARGUMENT [step] outDtype must be f32 or bf16 or f16, but it is fp16.',
    );
    expect(
      refusal(() => runOp(backend, step, placed({ x, ids }), undefined as never, placed({ state }))),
    ).toMatch(/^BAD_ARGUMENT .*the attributes must be an object \(got undefined\)/);
  });
});

test('a call whose op throws releases the outputs that it allocated, and no others', () => {
  const refusing = defineOp({
    name: 'refusing',
    takes: {},
    shapes: (_: object, __: object) => {
      const spec = { dtype: 'f32' as const, shape: [4] };
      return { y: spec, z: spec };
    },
    reference: (_, __: { y: F32; z: F32 }): void => {
      throw new QdyloraError('BAD_DATA', { where: 'refusing', problem: 'the ids are no classes' });
    },
  });
  const backend = createHostBackend();
  const z = backend.memory.allocate('f32', [4]);
  const { liveBytes } = backend.memory.usage();
  expect(() => runOp(backend, refusing, {}, {}, { z })).toThrow('the ids are no classes');
  expect(backend.memory.usage().liveBytes).toBe(liveBytes);
  expect(backend.memory.isReleased!(z)).toBe(false);
});

test('a call without memory for all outputs releases those that it has allocated', () => {
  const { memory, ...backend } = createHostBackend();
  let allocations = 0;
  const scarce: Memory = {
    ...memory,
    allocate(dtype, shape) {
      if (++allocations > 1) throw new InsufficientMemoryError(0, 0, 'scarce');
      return memory.allocate(dtype, shape);
    },
  };
  const pair = defineOp({
    name: 'pair',
    takes: {},
    shapes: (_: object, __: object) => ({
      y: { dtype: 'f32' as const, shape: [4] },
      z: { dtype: 'f32' as const, shape: [4] },
    }),
    reference: (_, __: { y: F32; z: F32 }) => {},
  });
  expect(() => runOp({ ...backend, memory: scarce }, pair, {}, {})).toThrow(InsufficientMemoryError);
  expect(memory.usage().liveBytes).toBe(0);
});

describe('an array is refused', () => {
  const host = createHostBackend();
  const call = (view: unknown): string =>
    refusal(() => runOp(host, step, { x: view as F32, ids }, attributes, { state }));

  test('that is no array view, by what it is', () => {
    expect(
      refusal(() => runOp(host, step, { x, ids }, attributes, { state: new Float32Array(6) as never })),
    ).toMatch(/state must be an array view of f32, bf16, f16, i32, u8, but it is Float32Array/);
    expect(call(new Float32Array(6))).toBe(
      'BAD_ARGUMENT [step] x must be an array view of f32, bf16, f16, i32, u8, but it is Float32Array. ' +
        'viewOf, f32View and i32View make one.',
    );
    expect(call({ ...x, dtype: 'f64' })).toMatch(/is of element type f64/);
    expect(call({ dtype: 'f32', data: hostData(x) })).toMatch(/is one without shape and storage/);
  });

  test.each([[[2.5, 2]], [[-2, 3]], [['2', 3]], [[NaN, 3]], [[0, 2 ** 50]]])('of the shape %j', (shape) => {
    expect(call({ ...x, shape })).toMatch(/^BAD_SHAPE/);
  });

  test.each([[[1.5, 2]], [[-4, -2]], [[NaN]]])('that is made of the shape %j', (shape) => {
    const eight = f32View([2, 4]);
    const ways = [
      () => f32View(shape),
      () => f32View(shape, new Float32Array(8)),
      () => reshaped(eight, shape),
      () => partOf(eight, 0, shape),
    ];
    for (const way of ways)
      expect(refusal(way)).toMatch(
        /^BAD_SHAPE \[array-view\] the sizes of an array must be whole numbers ≥ 0/,
      );
  });

  test('that is made of rows or elements between two others', () => {
    for (const [from, to] of [
      [0.5, 2],
      [0, 1.5],
      [NaN, 2],
    ])
      expect(refusal(() => rowsOf(x, from, to))).toMatch(/^BAD_ARGUMENT .* are not within 0…2/);
    expect(refusal(() => partOf(x, 0.5, [2]))).toMatch(/from element 0.5 is not within \[2, 3\]/);
  });

  test.each([-1, 0.5, NaN])('that begins at element %d', (offset) => {
    expect(call({ ...x, offset })).toMatch(/^BAD_SHAPE/);
  });

  test('that a memory is asked for: of no element type, of no size', () => {
    const memory = createHostMemory();
    expect(refusal(() => memory.allocate('f64' as never, [2]))).toMatch(
      /^BAD_ARGUMENT \[host\] the dtype of an array must be one of f32, bf16, f16, i32, u8 \(got f64\)/,
    );
    for (const shape of [[-2, -2], [0.5, 2], ['4'], [NaN]])
      expect(
        refusal(() => memory.allocate('f32', shape as never)),
        String(shape),
      ).toMatch(/^BAD_SHAPE .*the sizes of an array must be whole numbers ≥ 0/);
  });

  test('that is written, filled or read after its release, or with more values than it has', async () => {
    const memory = createHostMemory();
    const gone = memory.allocate('f32', [4]);
    const there = memory.allocate('f32', [4]);
    memory.release(gone);
    for (const use of [() => memory.write(gone, [1]), () => memory.fill(gone, () => {})])
      expect(refusal(use)).toMatch(/^DISPOSED/);
    await expect(memory.read(gone)).rejects.toMatchObject({ code: 'DISPOSED' });
    expect(refusal(() => memory.write(there, new Float32Array(hostData(there).length + 1)))).toMatch(
      /^BAD_SHAPE \[host\] an array of \[4\] takes at most 4 values \(got 5\)/,
    );
  });
});

test('a call that is refused has allocated nothing', () => {
  const backend = createHostBackend();
  const shared = backend.memory.allocate('f32', [2, 3]);
  const { liveBytes } = backend.memory.usage();
  const refused = (): unknown => prepareOp(backend, step, { x: shared, ids }, attributes, { state: shared });
  expect(refused).toThrow('the output state shares memory with x');
  expect(() => prepareOp(backend, step, { x, ids }, attributes)).toThrow('the output state is missing');
  expect(backend.memory.usage().liveBytes).toBe(liveBytes);
});
