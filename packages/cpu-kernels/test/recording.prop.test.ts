import fc from 'fast-check';
import {
  wrapBackend,
  hostData,
  defineOp,
  DisposedError,
  f32Array,
  f32View,
  i32View,
  repeatedCall,
  runOp,
  viewOf,
  type ArrayView,
  type Backend,
  type FloatView,
} from '@qdylora/contract';
import {
  appendRows,
  causalAttention,
  copy,
  embedding,
  linear,
  linearArgmax,
  quantizeRows,
  rmsNorm,
  rope,
  ropeTable,
  scaleBy,
  sumOfSquares,
  type ComputeDtype,
} from '@qdylora/tensor';
import { arbitrarySeed, normalBfloat16View, normalView } from '@qdylora/testing';
import { expect, test } from 'vitest';
import { createCpuBackend } from '../src/index.ts';
import { everyLevel } from './every-level.ts';

const levels = await everyLevel([1, 2]);
const VOCABULARY = 61;
const CAPACITY = 300;

/** A step of a decoder of one layer: every op that a text is written with, and one that has no kernel. */
interface Sizes {
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly window: number;
  readonly computeDtype: ComputeDtype;
  readonly seed: number;
}

const halved = defineOp({
  name: 'halved-by-the-test',
  takes: { x: f32Array(null) },
  shapes: (i: { x: ArrayView<'f32'> }, _: Record<string, never>) => ({
    y: { dtype: 'f32', shape: i.x.shape },
  }),
  reference({ x }, { y }: { y: ArrayView<'f32'> }) {
    hostData(x).forEach((value, i) => {
      hostData(y)[i] = value / 2;
    });
  },
});

function stepOf(backend: Backend, { heads, kvHeads, headDim, window, computeDtype, seed }: Sizes) {
  const width = heads * headDim;
  const kvWidth = kvHeads * headDim;
  const { memory } = backend;
  const placed = <V extends ArrayView>(view: V): V => {
    const copy = memory.allocate(view.dtype, view.shape);
    memory.write(copy, hostData(view));
    return copy as V;
  };
  const table = placed<FloatView>(normalBfloat16View(seed, 'table', [VOCABULARY, width]));
  const norm = placed(normalView(seed, 'norm', [width]));
  const codes = runOp(backend, quantizeRows, { weight: table }, {});
  const [wq, wk, wv] = [width, kvWidth, kvWidth].map((rows, i) =>
    placed(normalView(seed, `w${i}`, [rows, width], 0.3)),
  ) as [FloatView, FloatView, FloatView];
  const [keys, values] = [1, 2].map(() => placed(f32View([CAPACITY, kvWidth]))) as [
    ArrayView<'f32'>,
    ArrayView<'f32'>,
  ];
  const ids = placed(i32View([1], [0]));
  const positions = placed(i32View([1], [0]));
  const querySegments = placed(i32View([2], [0, 1]));
  const keySegments = placed(i32View([2], [0, 1]));
  const inverseFrequencies = f32View([1], [0.1]);
  const pass = (passBackend: Backend): ArrayView<'f32'> => {
    const x = runOp(passBackend, embedding, { weight: table, ids }, {}).y;
    const { y } = runOp(passBackend, rmsNorm, { x, weight: norm }, { epsilon: 1e-6, weightOffset: 0 });
    const angles = runOp(passBackend, ropeTable, { positions, inverseFrequencies }, { scale: 1 });
    const [q, k, v] = [wq, wk, wv].map(
      (weight) =>
        runOp(passBackend, linear, { x: y, weight, bias: undefined }, { computeDtype }).y as ArrayView<'f32'>,
    ) as [ArrayView<'f32'>, ArrayView<'f32'>, ArrayView<'f32'>];
    if (headDim > 1)
      for (const it of [q, k])
        runOp(passBackend, rope, { x: it, ...angles }, { headDim, inverse: false }, { y: it });
    runOp(passBackend, appendRows, { x: k, segments: keySegments }, { rows: CAPACITY }, { y: keys });
    runOp(passBackend, appendRows, { x: v, segments: keySegments }, { rows: CAPACITY }, { y: values });
    const seen = runOp(
      passBackend,
      causalAttention,
      { q, k: keys, v: values, querySegments, keySegments },
      { heads, kvHeads, headDim, window, scale: 0.3, softCap: 0, computeDtype },
    ).y as ArrayView<'f32'>;
    return runOp(
      passBackend,
      linearArgmax,
      { x: runOp(passBackend, halved, { x: seen }, {}).y, weight: table, ...codes },
      { computeDtype },
    ).logits;
  };
  return {
    table,
    pass,
    set(id: number, position: number) {
      hostData(ids)[0] = id;
      hostData(positions)[0] = position;
      hostData(keySegments)[1] = position + 1;
    },
  };
}

const arbitrarySizes = fc
  .record({
    kvHeads: fc.integer({ min: 1, max: 2 }),
    group: fc.constantFrom(1, 3, 9, 11),
    headDim: fc.constantFrom(2, 5, 16, 24),
    window: fc.constantFrom(0, 0, 7),
    computeDtype: fc.constantFrom<ComputeDtype>('f32', 'bf16'),
    seed: arbitrarySeed,
  })
  .map(({ group, ...rest }): Sizes => ({ ...rest, heads: group * rest.kvHeads }));

test('a replayed token step has the bits of new calls, past every border of keys', () => {
  fc.assert(
    fc.property(
      arbitrarySizes,
      fc.array(fc.nat(VOCABULARY - 1), { minLength: 1, maxLength: 20 }),
      (sizes, ids) => {
        // The places at which a chunk or a tile of keys begins, and the last that there is.
        const places = [0, 1, 7, 8, 63, 64, 65, 127, 128, 129, 255, 256, 257, CAPACITY - 1];
        for (const { label, backends } of levels)
          for (const backend of backends)
            backend.memory.scoped(() => {
              const plain = stepOf(backend, sizes);
              const recorded = stepOf(backend, sizes);
              using anew = repeatedCall(wrapBackend(backend, { record: undefined }), plain.pass);
              using again = repeatedCall(backend, recorded.pass);
              for (let position = 0, at = 0; at < places.length; position++) {
                // rows in between stay as they are in both
                if (position !== places[at] && position % 16 !== 0) continue;
                if (position === places[at]) at++;
                for (const step of [plain, recorded]) step.set(ids[position % ids.length], position);
                const got = [...hostData(again.run())];
                expect(got.every(Number.isFinite), label).toBe(true);
                expect(got, `${label}, ${backend.numThreads} threads, token ${position}`).toEqual([
                  ...hostData(anew.run()),
                ]);
                backend.memory.scoped(() => {
                  hostData(backend.memory.allocate('f32', [20_000])).fill(NaN);
                }); // nothing of the recording lies there
              }
            });
      },
    ),
    { numRuns: 6 },
  );
});

test('two recordings take turns, and the body runs once for each', () => {
  const [backend] = levels.at(-1)!.backends;
  const factor = f32View([4], [1, 2, 3, 4]);
  const log: string[] = [];
  const body =
    (name: string) =>
    (passBackend: Backend): ArrayView<'f32'> => {
      log.push(name);
      return runOp(passBackend, halved, { x: factor }, {}).y;
    };
  using a = repeatedCall(backend!, body('a'));
  using b = repeatedCall(backend!, body('b'));
  for (const value of [8, 6, 2]) {
    hostData(factor)[0] = value;
    expect([hostData(a.run())[0], hostData(b.run())[0]]).toEqual([value / 2, value / 2]);
  }
  expect(log).toEqual(['a', 'b']);
});

test('where each op is measured nothing is recorded', () => {
  const [backend] = levels.at(-1)!.backends;
  const seen: string[] = [];
  const step = stepOf(backend!, {
    heads: 1,
    kvHeads: 1,
    headDim: 8,
    window: 0,
    computeDtype: 'f32',
    seed: 1,
  });
  using call = repeatedCall(
    {
      ...backend!,
      measure: ({ op }, run) => {
        seen.push(op.name);
        run();
      },
    },
    step.pass,
  );
  call.run();
  const once = seen.length;
  call.run();
  expect(once).toBeGreaterThan(10);
  expect(seen).toHaveLength(2 * once);
});

test(
  'a replay is refused once an array of it, the recording or the backend is gone, and one that fails ' +
    'can be made again',
  async () => {
    using backend = await createCpuBackend({ numThreads: 1, regionBytes: 1 << 20 });
    const step = stepOf(backend, {
      heads: 1,
      kvHeads: 1,
      headDim: 8,
      window: 0,
      computeDtype: 'f32',
      seed: 1,
    });
    const call = repeatedCall(backend, step.pass);
    const other = repeatedCall(backend, step.pass);
    step.set(5, 0);
    const first = [...hostData(call.run())];
    step.set(VOCABULARY, 0);
    expect(() => call.run()).toThrow(
      expect.objectContaining({
        code: 'BAD_DATA',
        message: expect.stringMatching(
          /embedding: ids must be within the table \(got 61 at position 0\)/,
        ) as string,
      }),
    );
    step.set(5, CAPACITY);
    expect(() => call.run()).toThrow(
      expect.objectContaining({
        code: 'BAD_DATA',
        message: expect.stringMatching(/rows must end within y \(got 301 at position 1\)/) as string,
      }),
    );
    step.set(5, 0);
    expect([...hostData(call.run())]).toEqual(first);
    other.run();
    other.dispose();
    other.dispose();
    expect(() => other.run()).toThrow(/disposed/);
    backend.memory.release(step.table);
    expect(() => call.run()).toThrow(/disposed/);
    backend.dispose();
    expect(() => call.run()).toThrow(/disposed/);
    call.dispose();
  },
);

/** Node has had it for long, the types of ES2023 have not. */
const Resizable = ArrayBuffer as unknown as new (
  bytes: number,
  options: { maxByteLength: number },
) => ArrayBuffer & { resize(bytes: number): void };

test('a view of a shrunk resizable buffer counts as gone, whether it tracks the length or not', () => {
  const [backend] = levels.at(-1)!.backends;
  for (const length of [undefined, 1 << 20]) {
    const buffer = new Resizable(1 << 22, { maxByteLength: 1 << 22 });
    const x = viewOf('f32', [1 << 20], new Float32Array(buffer, 0, length));
    using call = repeatedCall(
      backend!,
      (passBackend) => runOp(passBackend, scaleBy, { x, factor: f32View([1], [2]) }, {}).y,
    );
    call.run();
    call.run();
    buffer.resize(8);
    expect(() => call.run()).toThrow(DisposedError);
  }
});

test(
  'a recording keeps the places of its temporaries: trim takes none of them, in the middle of it or ' +
    'later, and to dispose its memory is to dispose it',
  () => {
    const [backend] = levels.at(-1)!.backends;
    const x = f32View([1 << 20]);
    const factor = f32View([1], [3]);
    using call = repeatedCall(backend!, (passBackend) => {
      const sum = passBackend.memory.scoped(
        () =>
          runOp(passBackend, sumOfSquares, { x: runOp(passBackend, scaleBy, { x, factor }, {}).y }, {}).sum,
        (result) => [result],
      );
      passBackend.memory.trim();
      return runOp(passBackend, scaleBy, { x: sum, factor }, {}).y;
    });
    call.run();
    hostData(x)[7] = 2;
    expect([...hostData(call.run())]).toEqual([108]);
    const recording = backend!.record!();
    const { y } = runOp(recording.backend, scaleBy, { x, factor }, {});
    const { memory } = recording.backend;
    memory.release(y);
    memory.trim();
    recording.replay();
    expect(hostData(y)[7]).toBe(6);
    memory.dispose();
    expect(() => recording.replay()).toThrow(DisposedError);
    expect(() => runOp(recording.backend, scaleBy, { x, factor }, {}, { y: f32View([1 << 20]) })).toThrow(
      DisposedError,
    );
    recording.dispose();
  },
);

test('after the backend nothing is recorded any more', async () => {
  using backend = await createCpuBackend({ numThreads: 1, regionBytes: 1 << 20 });
  const recording = backend.record!();
  const x = f32View([4]);
  backend.dispose();
  expect(() => backend.record!()).toThrow(DisposedError);
  expect(() => runOp(recording.backend, copy, { x }, {}, { y: f32View([4]) })).toThrow(DisposedError);
  expect(() => recording.replay()).toThrow(DisposedError);
  recording.dispose();
});
