import { describe, expect, test } from 'vitest';
import {
  createDryBackend,
  createDryMemory,
  hostData,
  HostStorage,
  createHostBackend,
  createHostMemory,
  defineOp,
  f32Array,
  f32View,
  QdyloraError,
  reshaped,
  rowsOf,
  runOp,
  viewOf,
  type ArrayView,
  type Backend,
  type ErrorCode,
} from '../index.ts';

type F32 = ArrayView<'f32'>;

let calls = 0;
/** y = a + b, where y may lie over a. */
const sum = defineOp({
  name: 'sum',
  takes: { a: f32Array(null), b: f32Array(null) },
  overwrites: { y: ['a'] },
  shapes: ({ a }: { a: F32; b: F32 }, _: Record<string, never>) => ({ y: { dtype: 'f32', shape: a.shape } }),
  reference({ a, b }, { y }: { y: F32 }) {
    calls++;
    for (let i = 0; i < hostData(y).length; i++) hostData(y)[i] = hostData(a)[i] + hostData(b)[i];
  },
});
/** low = high = a. */
const both = defineOp({
  name: 'both',
  takes: { a: f32Array(null) },
  shapes: ({ a }: { a: F32 }, _: Record<string, never>) => ({
    low: { dtype: 'f32', shape: a.shape },
    high: { dtype: 'f32', shape: a.shape },
  }),
  reference: ({ a }, { low, high }: { low: F32; high: F32 }) => {
    for (const out of [low, high]) hostData(out).set(hostData(a).subarray(0, hostData(out).length));
  },
});

/** The code of the error that a call ends with; the op itself must not have run. */
function refusal(run: () => unknown): ErrorCode {
  const before = calls;
  try {
    run();
  } catch (error) {
    expect(calls, 'the op ran').toBe(before);
    if (!QdyloraError.isInstance(error)) throw error;
    return error.code;
  }
  throw new Error('it was not refused');
}

const x = (): F32 =>
  f32View(
    [8],
    Float32Array.from({ length: 8 }, (_, i) => i),
  );
const host = createHostBackend();

/**
 * Hands the buffer to nobody, so that views of it are empty: what the addon does when it gives memory back.
 */
const detach = (buffer: ArrayBufferLike): void => {
  (globalThis as unknown as { structuredClone(value: unknown, options: object): void }).structuredClone(
    buffer,
    { transfer: [buffer] },
  );
};

describe('an array is refused before the op runs', () => {
  test('whose elements are of another type than it says', () => {
    const wrong = { ...x(), storage: new HostStorage(new Int32Array(8)) } as F32;
    const none = { ...x(), storage: undefined } as unknown as F32;
    expect([
      refusal(() => runOp(host, sum, { a: wrong, b: x() }, {})),
      refusal(() => runOp(host, sum, { a: x(), b: none }, {})),
      refusal(() => runOp(host, sum, { a: x(), b: x() }, {}, { y: wrong })),
    ]).toEqual(['BAD_ARGUMENT', 'BAD_ARGUMENT', 'BAD_ARGUMENT']);
  });

  test('whose storage is shorter than its offset and shape reach', () => {
    const short = { ...x(), storage: new HostStorage(new Float32Array(7)) };
    const late = { ...x(), offset: 1 };
    expect(refusal(() => runOp(host, sum, { a: short, b: x() }, {}))).toBe('BAD_SHAPE');
    expect(refusal(() => runOp(host, sum, { a: late, b: x() }, {}))).toBe('BAD_SHAPE');
    expect(
      runOp(host, sum, { a: { ...late, storage: new HostStorage(new Float32Array(9)) }, b: x() }, {}).y.shape,
    ).toEqual([8]);
  });

  test('that lies in the memory of another backend', () => {
    const elsewhere = createDryMemory().allocate('f32', [8]);
    expect(refusal(() => runOp(host, sum, { a: elsewhere, b: x() }, {}))).toBe('BAD_ARGUMENT');
    expect(refusal(() => runOp(host, sum, { a: x(), b: x() }, {}, { y: elsewhere }))).toBe('BAD_ARGUMENT');
    expect(refusal(() => runOp(createDryBackend(), sum, { a: x(), b: x() }, {}))).toBe('BAD_ARGUMENT');
  });

  test(
    'a memory knows the arrays that it made as long as they live, and no others: no parts, no other ' +
      "shapes, no other memory's",
    () => {
      const memory = createHostMemory();
      const other = createHostMemory();
      const view = memory.allocate('f32', [8]);
      const foreign = other.allocate('f32', [8]);
      expect(
        [view, rowsOf(view, 0, 8), reshaped(view, [2, 4]), foreign, x()].map((each) => memory.isOwn!(each)),
      ).toEqual([true, false, false, false, false]);
      memory.release(foreign);
      memory.persist(foreign);
      expect([other.isOwn!(foreign), other.isReleased!(foreign)]).toEqual([true, false]);
      memory.release(view);
      other.dispose();
      expect([memory.isOwn!(view), other.isOwn!(foreign)]).toEqual([false, false]);
    },
  );

  test('that was released, or whose scope or memory has ended, also under another shape', () => {
    const memory = createHostMemory({ unreserve: detach });
    const backend: Backend = { ...host, memory };
    const released = memory.allocate('f32', [8]);
    const scoped = memory.scoped(() => memory.allocate('f32', [8]));
    const kept = memory.allocate('f32', [8]);
    memory.release(released);
    expect(runOp(backend, sum, { a: kept, b: x() }, {}).y.shape).toEqual([8]);
    expect([released, scoped].map((a) => refusal(() => runOp(backend, sum, { a, b: x() }, {})))).toEqual([
      'DISPOSED',
      'DISPOSED',
    ]);
    expect(
      refusal(() => runOp(backend, sum, { a: reshaped(released, [2, 4]), b: reshaped(x(), [2, 4]) }, {})),
    ).toBe('DISPOSED');
    expect(refusal(() => runOp(backend, sum, { a: x(), b: x() }, {}, { y: released }))).toBe('DISPOSED');
    memory.dispose();
    // another backend's memory, whose buffer is gone
    expect(refusal(() => runOp(host, sum, { a: kept, b: x() }, {}))).toBe('DISPOSED');
  });
});

test('a scope refuses an async body, releases what it allocated, and outlives its failure', async () => {
  const memory = createHostMemory();
  expect(() =>
    memory.scoped(async () => {
      memory.allocate('f32', [8]);
      await Promise.resolve();
      throw new Error('after the refusal');
    }),
  ).toThrow(/must not be async/);
  expect(memory.usage().liveBytes).toBe(0);
  await Promise.resolve(); // vitest fails on an unhandled rejection
});

describe('an output is refused', () => {
  test('that lies over an input which the op does not let it overwrite, or partly over any', () => {
    const shared = new Float32Array(16);
    const a = viewOf('f32', [8], shared.subarray(0));
    const later = viewOf('f32', [8], shared.subarray(7));
    const free = viewOf('f32', [8], shared.subarray(8));
    expect(refusal(() => runOp(host, sum, { a: x(), b: a }, {}, { y: a }))).toBe('BAD_ARGUMENT');
    expect(refusal(() => runOp(host, sum, { a, b: x() }, {}, { y: later }))).toBe('BAD_ARGUMENT');
    expect(runOp(host, sum, { a, b: x() }, {}, { y: free }).y).toBe(free);
  });

  test('that shares memory with another output', () => {
    const out = f32View([9]);
    expect(
      refusal(() => runOp(host, both, { a: x() }, {}, { low: rowsOf(out, 0, 8), high: rowsOf(out, 1, 9) })),
    ).toBe('BAD_ARGUMENT');
    expect(
      hostData(runOp(host, both, { a: x() }, {}, { low: f32View([8]), high: f32View([8]) }).high)[7],
    ).toBe(7);
  });

  test('but not an empty one inside another array', () => {
    const a = x();
    const empty = f32View([0]);
    for (const row of [0, 3])
      expect(runOp(host, sum, { a: empty, b: a }, {}, { y: rowsOf(a, row, row) }).y.shape).toEqual([0]);
  });

  test('but not one that lies exactly where the op allows it', () => {
    const a = x();
    expect(Array.from(hostData(runOp(host, sum, { a, b: x() }, {}, { y: a }).y))).toEqual([
      0, 2, 4, 6, 8, 10, 12, 14,
    ]);
  });
});
