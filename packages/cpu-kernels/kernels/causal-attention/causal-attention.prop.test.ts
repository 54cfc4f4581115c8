import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createHostBackend, elementsOf, f32View, i32View, runOp, type ArrayView } from '@qdylora/contract';
import { causalAttention, causalAttentionBackward, type AttentionAttributes } from '@qdylora/tensor';
import { arbitrarySeed, checkKernel, EPSILON, normalView, type Bound } from '@qdylora/testing';
import { everyLevel } from '../../test/every-level.ts';

const levels = await everyLevel();
const prefix = (sizes: readonly number[]): ArrayView<'i32'> => i32View([sizes.length + 1], sizes.reduce<number[]>((ends, size) => [...ends, ends.at(-1)! + size], [0]));

interface Lengths { readonly queries: number; readonly keys: number }
function inputsOf(seed: number, segments: readonly Lengths[], { heads, kvHeads, headDim }: AttentionAttributes) {
  const querySegments = prefix(segments.map(({ queries }) => queries)), keySegments = prefix(segments.map(({ keys }) => keys));
  const queries = querySegments.data.at(-1)!, keys = keySegments.data.at(-1)!;
  return { q: normalView(seed, 'q', [queries, heads * headDim]), k: normalView(seed, 'k', [keys, kvHeads * headDim]), v: normalView(seed, 'v', [keys, kvHeads * headDim]), querySegments, keySegments };
}

/**
 * A score is a sum of headDim products: off by ≤ headDim·ε·Σ|q·k|·scale, about headDim^½·ε·(typical score) since the signs are mixed; with |score| ≲ 6 for normal
 * numbers and scale 1/√headDim we allow S = (headDim + 8)·6·ε. exp turns it into a relative error of each weight; y is a mean of v under such weights plus a sum of up to
 * `keys` terms in tiles of 64: ≤ (2·S + (keys + 70)·ε)·max|v|, and logSumExp is off by ≤ S and a few roundings.
 */
function forwardBound(inputs: ReturnType<typeof inputsOf>, { headDim, scale }: AttentionAttributes): Bound {
  const keys = inputs.k.shape[0]!, largest = inputs.v.data.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
  const score = (headDim + 8) * 6 * EPSILON * Math.max(1, scale * Math.sqrt(headDim));
  return (name, _, want) => (name === 'y' ? (2 * score + (keys + 70) * EPSILON) * largest : score + (keys + 70) * EPSILON + 4 * EPSILON * Math.abs(want));
}

const arbitraryLengths = fc.array(fc.tuple(fc.oneof(fc.constantFrom(0, 1, 2, 63, 64, 65), fc.integer({ min: 0, max: 90 })), fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 150 })))
  .map(([queries, more]) => ({ queries, keys: queries + more })), { minLength: 1, maxLength: 3 });
const arbitraryAttributes = fc.record({ kvHeads: fc.integer({ min: 1, max: 3 }), group: fc.integer({ min: 1, max: 3 }), headDim: fc.constantFrom(1, 3, 8, 15, 16, 17, 24, 33), window: fc.constantFrom(0, 0, 1, 5, 64, 100) })
  .map(({ kvHeads, group, headDim, window }): AttentionAttributes => ({ heads: kvHeads * group, kvHeads, headDim, window, scale: 1 / Math.sqrt(headDim) }));

test('attention agrees with its reference for packed segments, grouped heads, windows and odd head sizes', () => {
  fc.assert(fc.property(arbitraryLengths, arbitraryAttributes, arbitrarySeed, (segments, attributes, seed) => {
    const inputs = inputsOf(seed, segments, attributes);
    checkKernel(causalAttention, levels, { inputs, attributes, bound: forwardBound(inputs, attributes) });
  }), { numRuns: 25 });
});

test('decoding: few queries against many keys, cut into chunks, agree too', () => {
  for (const [queries, keys, heads, kvHeads, headDim, window] of [[1, 2000, 3, 1, 16, 0], [2, 1100, 4, 2, 8, 0], [1, 1025, 8, 1, 24, 700], [5, 1536, 6, 3, 9, 0], [1, 1024, 2, 2, 64, 0], [1, 1600, 10, 1, 8, 0], [3, 700, 2, 1, 5, 90]] as const) {
    const attributes = { heads, kvHeads, headDim, window, scale: 1 / Math.sqrt(headDim) }, inputs = inputsOf(queries + keys, [{ queries, keys }, { queries: 1, keys: 3 }], attributes);
    checkKernel(causalAttention, levels, { inputs, attributes, bound: forwardBound(inputs, attributes) });
  }
});

test('head sizes 64, 80, 128 and 256 agree', () => {
  for (const headDim of [64, 80, 128, 256]) {
    const attributes = { heads: 2, kvHeads: 1, headDim, window: 0, scale: 1 / Math.sqrt(headDim) }, inputs = inputsOf(headDim, [{ queries: 70, keys: 70 }], attributes);
    checkKernel(causalAttention, levels, { inputs, attributes, bound: forwardBound(inputs, attributes) });
    checkBackward(headDim, [{ queries: 70, keys: 70 }], attributes);
  }
});

test('a query\'s output does not depend on the queries beside it', () => {
  const attributes = { heads: 6, kvHeads: 2, headDim: 20, window: 40, scale: 0.3 }, inputs = inputsOf(5, [{ queries: 150, keys: 150 }], attributes), width = 120;
  for (const { backends } of levels) {
    const whole = elementsOf(runOp(backends[0]!, causalAttention, inputs, attributes).y);
    const keys = 101, few = { ...inputs, q: f32View([3, width], inputs.q.data.slice((keys - 3) * width, keys * width)), querySegments: i32View([2], [0, 3]), keySegments: i32View([2], [0, keys]) };
    const last = elementsOf(runOp(backends[0]!, causalAttention, few, attributes).y);
    expect(last).toEqual(whole.slice((keys - 3) * width, keys * width));
  }
});

/** Backward inputs come from the reference's own forward. Every gradient is a sum of ≤ n terms p·(…); p is off by the score's error S (above) relatively, the sums by n roundings of terms. */
function checkBackward(seed: number, segments: readonly Lengths[], attributes: AttentionAttributes): void {
  const forward = inputsOf(seed, segments, attributes), { y, logSumExp } = runOp(createHostBackend(), causalAttention, forward, attributes), dy = normalView(seed, 'dy', y.shape);
  const inputs = { ...forward, y, logSumExp, dy }, n = Math.max(forward.q.shape[0]! * (attributes.heads / attributes.kvHeads), forward.k.shape[0]!), { headDim } = attributes;
  const relative = (2 * (headDim + 8) * 6 + 2 * headDim + n + 70) * EPSILON, size = 6 * Math.sqrt(headDim); // |dy·v − dy·y|, |q|, |k|, |dy| are within about 6·√headDim and 6
  checkKernel(causalAttentionBackward, levels, { inputs, attributes, bound: () => relative * size * 4 });
}

test('the gradient agrees with its reference for packed segments, grouped heads, windows and odd head sizes', () => {
  fc.assert(fc.property(arbitraryLengths, arbitraryAttributes, arbitrarySeed, (segments, attributes, seed) => checkBackward(seed, segments, attributes)), { numRuns: 15 });
});

test('one long segment of one kv head takes two passes on several threads and gives the same bits', () => {
  checkBackward(7, [{ queries: 300, keys: 300 }], { heads: 2, kvHeads: 1, headDim: 16, window: 0, scale: 0.25 });
  checkBackward(8, [{ queries: 520, keys: 530 }], { heads: 1, kvHeads: 1, headDim: 8, window: 100, scale: 0.25 });
});

test('segments that leave the arrays are refused', () => {
  const attributes = { heads: 1, kvHeads: 1, headDim: 8, window: 0, scale: 1 }, inputs = inputsOf(1, [{ queries: 4, keys: 4 }], attributes);
  const wrong = [[0, 5], [-1, 4], [3, 2]];
  for (const ends of wrong) expect(() => runOp(levels[0]!.backends[0]!, causalAttention, { ...inputs, keySegments: i32View([2], ends) }, attributes)).toThrow(/rising segments/);
});
