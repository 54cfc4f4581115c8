import fc from 'fast-check';
import { expect, test } from 'vitest';
import { hostData, createRng, i32View, runOp, viewOf, type ArrayView } from '@qdylora/contract';
import { IGNORED_TARGET, linearCrossEntropy } from '@qdylora/tensor';
import {
  arbitrarySeed,
  arbitrarySize,
  checkKernel,
  EPSILON,
  normalBfloat16View,
  normalView,
  numbersOf,
  type Bound,
} from '@qdylora/testing';
import { everyLevel } from '../../test/every-level.ts';

const levels = await everyLevel();

interface Sizes {
  readonly tokens: number;
  readonly hidden: number;
  readonly vocabulary: number;
  readonly seed: number;
}

const largest = (view: ArrayView): number =>
  Array.from(numbersOf(view)).reduce((most, x) => Math.max(most, Math.abs(x)), 0);

/**
 * A logit is a sum of `hidden` products, off by δ ≤ (hidden + 3)·ε·Σ|x·w|. Softmax then moves by at most 2δ
 * relative, the loss by 2δ; each gets some dozens of roundings of its own (exponential, blocks of the sum,
 * scaling). dx is Σ_c g_c·w_c with Σ|g| ≤ 2·|factor|, dW a sum of g·x over tokens. In bf16 g may round to the
 * other side: a step, 2^-7 of itself.
 * A soft cap moves a logit by no more than it was moved, and adds its own rounding, 8·ε·cap; its slope 1 − t²
 * is off by 2·δ/cap + 4·ε.
 */
function boundFor(
  { tokens, hidden, vocabulary }: Sizes,
  x: ArrayView,
  weight: ArrayView,
  { factor, cap = 0, computeDtype = 'f32' }: { factor: number; cap?: number; computeDtype?: 'f32' | 'bf16' },
): Bound {
  const mostX = largest(x);
  const mostW = largest(weight);
  const logit = hidden * mostX * mostW;
  const delta = 1.02 * (hidden + 3) * EPSILON * logit + 8 * EPSILON * cap;
  const softmax =
    (2.2 + (cap > 0 ? 2 / cap : 0)) * delta + 64 * EPSILON + (computeDtype === 'bf16' ? 2 ** -7 : 0);
  return (name, _, want) => {
    switch (name) {
      case 'tokenLosses':
        return (
          2 * delta +
          8 * EPSILON * (Math.abs(want) + 1) +
          EPSILON * Math.log(vocabulary + 1) +
          EPSILON * logit
        );
      case 'loss':
        return factor * tokens * (2 * delta + 9 * EPSILON * (2 * logit + Math.log(vocabulary + 1) + 1));
      case 'dx':
        return 2 * factor * (softmax + (vocabulary + 3) * EPSILON) * mostW + 2 ** -120;
      default:
        return (
          tokens * 2 * factor * (softmax + (tokens + 3) * EPSILON) * mostX +
          (tokens + 3) * EPSILON * Math.abs(want) +
          2 ** -120
        );
    }
  };
}

function targetsOf({ tokens, vocabulary, seed }: Sizes, ignored: number): ArrayView<'i32'> {
  const rng = createRng(seed).named('targets');
  return i32View(
    [tokens],
    Array.from({ length: tokens }, (_, t) =>
      rng.uniform(t, 1) < ignored ? IGNORED_TARGET : Math.floor(rng.uniform(t) * vocabulary),
    ),
  );
}

const arbitraryCase = fc.record({
  tokens: arbitrarySize(40),
  hidden: arbitrarySize(80),
  vocabulary: arbitrarySize(300).map((n) => Math.max(n, 1)),
  seed: arbitrarySeed,
  ignored: fc.constantFrom(0, 0.3, 1),
  computeDtype: fc.constantFrom<'f32' | 'bf16'>('f32', 'bf16'),
  half: fc.boolean(),
  softCap: fc.constantFrom(0, 0, 1, 30),
  weighted: fc.boolean(),
  gradient: fc.boolean(),
  wantsWeight: fc.boolean(),
});

test('loss, token losses and gradients agree with the reference, with any targets and token weights', () => {
  fc.assert(
    fc.property(
      arbitraryCase,
      ({ ignored, computeDtype, half, softCap, weighted, gradient, wantsWeight, ...sizes }) => {
        const { tokens, hidden, vocabulary, seed } = sizes;
        const inputs = {
          x: normalView(seed, 'x', [tokens, hidden]),
          weight: half
            ? normalBfloat16View(seed, 'w', [vocabulary, hidden])
            : normalView(seed, 'w', [vocabulary, hidden], 0.3),
          targets: targetsOf(sizes, ignored),
          tokenWeights: weighted
            ? viewOf(
                'f32',
                [tokens],
                Float32Array.from({ length: tokens }, (_, t) => (t % 3) / 2),
              )
            : undefined,
        };
        const given =
          gradient && wantsWeight ? { dWeight: normalView(seed, 'dw', [vocabulary, hidden]) } : {};
        checkKernel(linearCrossEntropy, levels, {
          inputs,
          attributes: { computeDtype, lossScale: 0.125, softCap, gradient },
          given,
          bound: boundFor(sizes, inputs.x, inputs.weight, { factor: 0.125, cap: softCap, computeDtype }),
        });
      },
    ),
    { numRuns: 80 },
  );
});

test('several chunks of tokens and slices of the vocabulary agree with the reference', () => {
  for (const sizes of [
    { tokens: 300, hidden: 5, vocabulary: 4500, seed: 5 },
    { tokens: 100, hidden: 3, vocabulary: 70_000, seed: 6 },
  ]) {
    const { tokens, hidden, vocabulary, seed } = sizes;
    const inputs = {
      x: normalView(seed, 'x', [tokens, hidden]),
      weight: normalView(seed, 'w', [vocabulary, hidden], 0.3),
      targets: targetsOf(sizes, 0.2),
    };
    const given = { dWeight: normalView(seed, 'dw', [vocabulary, hidden]) };
    checkKernel(
      linearCrossEntropy,
      levels.filter(({ label }) => label !== 'generic'),
      {
        inputs,
        attributes: { computeDtype: 'f32', lossScale: 1 / tokens, gradient: true },
        given,
        bound: boundFor(sizes, inputs.x, inputs.weight, { factor: 1 / tokens }),
      },
    );
  }
});

test(
  'a head that is not trained: many rows, blocks of the vocabulary and of the depth, and logits that ' +
    'rise along the vocabulary, agree with the reference',
  () => {
    for (const sizes of [
      { tokens: 2500, hidden: 2, vocabulary: 1100, seed: 5 },
      { tokens: 20, hidden: 1500, vocabulary: 1030, seed: 6 },
      { tokens: 40, hidden: 33, vocabulary: 7000, seed: 7 },
    ]) {
      const { tokens, hidden, vocabulary, seed } = sizes;
      const rising = normalView(seed, 'w', [vocabulary, hidden], 0.1);
      const x = normalView(seed, 'x', [tokens, hidden]);
      // the largest logit of half of the rows moves with every block
      for (let c = 0; c < vocabulary; c++) hostData(rising)[c * hidden] = (60 * c) / vocabulary;
      for (const computeDtype of ['f32', 'bf16'] as const) {
        const inputs = { x, weight: rising, targets: targetsOf(sizes, 0.2) };
        checkKernel(
          linearCrossEntropy,
          levels.filter(({ label }) => label !== 'generic'),
          {
            inputs,
            attributes: { computeDtype, lossScale: 1 / tokens, gradient: true },
            bound: boundFor(sizes, x, rising, { factor: 1 / tokens, computeDtype }),
          },
        );
      }
    }
  },
);

test('logits of ±1e4 neither overflow nor lose the loss', () => {
  const sizes = { tokens: 4, hidden: 1, vocabulary: 33, seed: 1 };
  const x = viewOf('f32', [4, 1], Float32Array.of(1e4, -1e4, 1, 0));
  const inputs = { x, weight: normalView(1, 'w', [33, 1]), targets: targetsOf(sizes, 0) };
  checkKernel(linearCrossEntropy, levels, {
    inputs,
    attributes: { computeDtype: 'f32', lossScale: 1, gradient: true },
    given: { dWeight: normalView(1, 'dw', [33, 1]) },
    bound: boundFor(sizes, x, inputs.weight, { factor: 1 }),
  });
});

test('a target outside the vocabulary is refused, and a NaN logit makes its own loss NaN alone', () => {
  const {
    backends: [backend],
  } = levels[0]!;
  const x = normalView(1, 'x', [3, 4]);
  const weight = normalView(1, 'w', [5, 4]);
  const attributes = { computeDtype: 'f32' as const, lossScale: 1, gradient: false };
  for (const { backends } of levels) {
    for (const given of [{}, { dWeight: normalView(1, 'dw', [5, 4]) }]) {
      // two kernels
      const refused = expect.objectContaining({
        code: 'BAD_DATA',
        message: expect.stringMatching(
          /targets must be within the vocabulary, or -100 \(got 5 at position 1\)/,
        ) as string,
      });
      expect(() =>
        runOp(
          backends[0]!,
          linearCrossEntropy,
          { x, weight, targets: i32View([3], [-100, 5, -1]) },
          { ...attributes, gradient: true },
          given,
        ),
      ).toThrow(refused);
    }
  }
  hostData(x)[5] = NaN;
  const { tokenLosses } = runOp(
    backend!,
    linearCrossEntropy,
    { x, weight, targets: i32View([3], [0, 4, 1]) },
    attributes,
  );
  expect(Array.from(hostData(tokenLosses), Number.isNaN)).toEqual([false, true, false]);
});

test('the workspace does not grow with the number of tokens', () => {
  const backend = levels.at(-1)!.backends[0]!;
  const whole = backend.native('linearCrossEntropyScratch');
  const streamed = backend.native('linearCrossEntropyStreamedScratch');
  for (const scratch of [whole, (...sizes: [number, number, number]) => streamed(...sizes, true)]) {
    expect(scratch(100_000, 576, 49_152)).toBe(scratch(2_000, 576, 49_152));
    expect(scratch(100_000, 576, 49_152) * 4).toBeLessThan(32 * 2 ** 20);
  }
});
