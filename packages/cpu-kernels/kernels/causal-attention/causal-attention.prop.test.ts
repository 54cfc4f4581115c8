import { describe, expect, test } from 'vitest';
import {
  createHostBackend,
  hostData,
  f32View,
  i32View,
  runOp,
  type ArrayView,
  type Backend,
} from '@qdylora/contract';
import { causalAttention, causalAttentionBackward } from '@qdylora/tensor';
import { normalView } from '@qdylora/testing';
import { attentionAttributes, attentionInputs } from '@qdylora/testing/conformance';
import { everyLevel } from '../../test/every-level.ts';

type AttentionInputs = ReturnType<typeof attentionInputs>;

const levels = await everyLevel();
/**
 * The levels that multiply bf16 numbers in pairs; the others compute attention in float32 whatever they are
 * asked for.
 */
const pairLevels = levels.filter(({ label }) =>
  ['avx512_bf16', 'amx_bf16', 'avx2w16', 'avx2_tiles'].includes(label),
);
const otherLevels = levels.filter((level) => !pairLevels.includes(level));
test('a query sees the `window` last keys, its own included', () => {
  const attributes = attentionAttributes({ heads: 1, kvHeads: 1, headDim: 8, window: 3, scale: 0 });
  const inputs = attentionInputs(1, [{ queries: 5, keys: 5 }], attributes);
  for (const { backends } of levels) {
    const { y } = runOp(backends[0], causalAttention, inputs, attributes);
    for (let query = 0; query < 5; query++) {
      const visible = Array.from(
        { length: Math.min(3, query + 1) },
        (_, back) => hostData(inputs.v)[(query - back) * 8],
      );
      expect(hostData(y)[query * 8]).toBeCloseTo(visible.reduce((a, b) => a + b) / visible.length, 5);
    }
  }
});

/** The last queries of a sequence that ends after `keys` of the keys. */
function lastQueries(inputs: AttentionInputs, queries: number, keys: number): AttentionInputs {
  const width = inputs.q.shape[1];
  return {
    ...inputs,
    q: f32View([queries, width], hostData(inputs.q).slice((keys - queries) * width, keys * width)),
    querySegments: i32View([2], [0, queries]),
    keySegments: i32View([2], [0, keys]),
  };
}

describe("a query's output does not depend on the queries beside it", () => {
  const base = attentionAttributes({ heads: 6, kvHeads: 2, headDim: 20, window: 40, softCap: 3 });
  const inputs = attentionInputs(5, [{ queries: 150, keys: 150 }], base, true);
  const width = 120;
  test.each(['f32', 'bf16'] as const)('in a long sequence and at the end of a short one, %s', (dtype) => {
    const attributes = { ...base, computeDtype: dtype };
    for (const { backends } of levels) {
      const whole = hostData(runOp(backends[0], causalAttention, inputs, attributes).y);
      const keys = 101;
      const last = hostData(runOp(backends[0], causalAttention, lastQueries(inputs, 5, keys), attributes).y);
      expect(last).toEqual(whole.slice((keys - 5) * width, keys * width));
    }
  });
  // a window of 40 that ends at key 102 has a key of the first chunk of 64; one that ends at key 103 has none
  test.each([
    { heads: 6, kvHeads: 2, window: 40, keys: 105, most: 4 },
    { heads: 6, kvHeads: 2, window: 0, keys: 65, most: 4 },
    { heads: 8, kvHeads: 1, window: 0, keys: 130, most: 4 },
    { heads: 9, kvHeads: 1, window: 0, keys: 130, most: 3 },
    { heads: 16, kvHeads: 1, window: 0, keys: 130, most: 2 },
  ])('$most queries are computed as each would be alone: $heads heads, window $window', (sizes) => {
    const { heads, kvHeads, window, keys, most } = sizes;
    const attributes = { ...base, heads, kvHeads, window };
    const inputs = attentionInputs(5, [{ queries: 150, keys: 150 }], attributes, true);
    const outputOf = (backend: Backend, queries: number, last: number): number[] =>
      Array.from(hostData(runOp(backend, causalAttention, lastQueries(inputs, queries, last), attributes).y));
    for (const { backends } of levels)
      for (const backend of backends)
        for (let queries = 2; queries <= most; queries++) {
          const alone = Array.from({ length: queries }, (_, i) =>
            outputOf(backend, 1, keys - queries + 1 + i),
          );
          expect(outputOf(backend, queries, keys)).toEqual(alone.flat());
        }
  });
});

/** Scores are `size` times 1, −1 and 0.5, so that a softmax has one key, or the mean of equal ones. */
function inputsOfSize(size: number, queries: number, keys: number): AttentionInputs {
  const headDim = 8;
  const firstOnly = (count: number, at: (row: number) => number) =>
    f32View(
      [count, headDim],
      Float32Array.from({ length: count * headDim }, (_, i) => (i % headDim ? 0 : at(i / headDim))),
    );
  return {
    ...attentionInputs(1, [{ queries, keys }], attentionAttributes({ heads: 1, kvHeads: 1, headDim })),
    q: firstOnly(queries, (row) => size * (1 + row / 64) * Math.sqrt(headDim)),
    k: firstOnly(keys, (row) => [0.5, -1, 1, 1, 0.5][row % 5]! * (row < keys / 2 ? 0.5 : 1)),
  };
}

describe('scores of any finite size have the softmax of float64', () => {
  const attributes = attentionAttributes({ heads: 1, kvHeads: 1, headDim: 8 });
  const reference = createHostBackend();
  /** Operands in bf16 are off by 2^−9 of their size, on one side alone; means are of at most 1300 values. */
  const BOUNDS = { f32: 2e-5, bf16: 2 ** -7 };
  /** Largest difference to what is wanted, as a part of the largest of these. */
  const errorOf = (got: Float32Array, want: Float32Array): number => {
    const largest = want.reduce((most, one) => Math.max(most, Math.abs(one)), 0);
    return got.reduce((most, one, i) => Math.max(most, Math.abs(one - want[i]!)), 0) / largest;
  };
  describe.each(['f32', 'bf16'] as const)('in %s', (computeDtype) => {
    test.each([1e7, 1e8, 2e8, 1e9, 1e10, 1e12, -1e12, 1e15, 1e30])('about %d', (size) => {
      for (const [queries, keys] of [
        [150, 150], // tiles
        [5, 1300], // one tile of columns, in chunks of keys
        [2, 300], // few columns
      ] as const) {
        const inputs = inputsOfSize(size, queries, keys);
        const want = runOp(reference, causalAttention, inputs, { ...attributes, computeDtype });
        for (const { label, backends } of levels) {
          const got = runOp(backends[0], causalAttention, inputs, { ...attributes, computeDtype });
          for (const name of ['y', 'logSumExp'] as const)
            expect(
              errorOf(hostData(got[name] as ArrayView<'f32'>), hostData(want[name] as ArrayView<'f32'>)),
              `${name} of ${label}, ${queries} queries`,
            ).toBeLessThan(BOUNDS[computeDtype]);
        }
      }
    });
  });
});

test('without pairs, and where columns are few, bf16 gives the bits of f32', () => {
  const attributes = attentionAttributes({ heads: 4, kvHeads: 2, headDim: 24 });
  const many = attentionInputs(3, [{ queries: 40, keys: 60 }], attributes);
  const few = attentionInputs(4, [{ queries: 2, keys: 300 }], attributes);
  const bits = (level: (typeof levels)[number], inputs: AttentionInputs, computeDtype: 'f32' | 'bf16') =>
    hostData(runOp(level.backends[0], causalAttention, inputs, { ...attributes, computeDtype }).y);
  for (const level of levels) expect(bits(level, few, 'bf16')).toEqual(bits(level, few, 'f32'));
  for (const level of otherLevels) expect(bits(level, many, 'bf16')).toEqual(bits(level, many, 'f32'));
  for (const level of pairLevels) expect(bits(level, many, 'bf16')).not.toEqual(bits(level, many, 'f32'));
});

test(
  'a segment with more queries than keys is refused, forward and backward: its first queries would see ' +
    'no key',
  () => {
    const attributes = attentionAttributes({ heads: 2, kvHeads: 1, headDim: 8 });
    const inputs = attentionInputs(1, [{ queries: 4, keys: 4 }], attributes);
    const keySegments = i32View([3], [0, 3, 4]);
    const querySegments = i32View([3], [0, 2, 4]);
    for (const {
      backends: [backend],
    } of levels) {
      expect(() =>
        runOp(backend!, causalAttention, { ...inputs, querySegments, keySegments }, attributes),
      ).toThrow(/no more queries than keys/);
      const { y, logSumExp } = runOp(backend!, causalAttention, inputs, attributes);
      expect(() =>
        runOp(
          backend!,
          causalAttentionBackward,
          { ...inputs, querySegments, keySegments, y, logSumExp, dy: normalView(1, 'dy', y.shape) },
          attributes,
        ),
      ).toThrow(/no more queries than keys/);
    }
  },
);

test('segments that leave the arrays are refused', () => {
  const attributes = attentionAttributes({ heads: 1, kvHeads: 1, headDim: 8 });
  const inputs = attentionInputs(1, [{ queries: 4, keys: 4 }], attributes);
  const wrong = [
    [0, 5],
    [-1, 4],
    [3, 2],
  ];
  for (const ends of wrong)
    expect(() =>
      runOp(
        levels[0].backends[0],
        causalAttention,
        { ...inputs, keySegments: i32View([2], ends) },
        attributes,
      ),
    ).toThrow(/rising segments/);
});
