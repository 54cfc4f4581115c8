import {
  createRng,
  f32View,
  hostData,
  i32View,
  viewOf,
  type ArrayView,
  type FloatDType,
  type FloatView,
} from '@qdylora/contract';
import { IGNORED_TARGET, linearCrossEntropy, type ComputeDtype } from '@qdylora/tensor';
import fc from 'fast-check';
import { arbitrarySeed, arbitrarySize, normalHalfView, normalView } from '../arbitraries.ts';
import { numbersOf } from '../compare.ts';
import { conformanceCase, forHalves, type ConformanceCase, type HalfSetting } from '../conformance-case.ts';
import { EPSILON, OPERAND_ROUNDING, SMALLEST_STEP, type Bound } from '../tolerance.ts';

export interface HeadSizes {
  readonly tokens: number;
  readonly hidden: number;
  readonly vocabulary: number;
  readonly seed: number;
}

const largest = (view: ArrayView): number =>
  Array.from(numbersOf(view)).reduce((most, x) => Math.max(most, Math.abs(x)), 0);

interface LossScale {
  readonly factor: number;
  readonly cap?: number;
  readonly computeDtype?: ComputeDtype;
}

/**
 * A logit is a sum of `hidden` products, off by δ ≤ (hidden + 3)·ε·Σ|x·w|. Softmax then moves by at most 2δ
 * relative, the loss by 2δ; each gets some dozens of roundings of its own (exponential, blocks of the sum,
 * scaling). dx is Σ_c g_c·w_c with Σ|g| ≤ 2·|factor|, dW a sum of g·x over tokens. As an operand of two bytes
 * g may round to the other side: a step, twice the error of a rounding, or the smallest step.
 * A soft cap moves a logit by no more than it was moved, and adds its own rounding, 8·ε·cap; its slope 1 − t²
 * is off by 2·δ/cap + 4·ε.
 */
export function boundFor(
  { tokens, hidden, vocabulary }: HeadSizes,
  { x, weight }: { readonly x: ArrayView; readonly weight: ArrayView },
  { factor, cap = 0, computeDtype = 'f32' }: LossScale,
): Bound {
  const mostX = largest(x);
  const mostW = largest(weight);
  const logit = hidden * mostX * mostW;
  const delta = 1.02 * (hidden + 3) * EPSILON * logit + 8 * EPSILON * cap;
  const slope = 2.2 + (cap > 0 ? 2 / cap : 0);
  const softmax =
    slope * delta + 64 * EPSILON + (computeDtype === 'f32' ? 0 : 2 * OPERAND_ROUNDING[computeDtype]);
  const step = SMALLEST_STEP[computeDtype];
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
        return (2 * factor * (softmax + (vocabulary + 3) * EPSILON) + vocabulary * step) * mostW + 2 ** -120;
      default:
        return (
          tokens * (2 * factor * (softmax + (tokens + 3) * EPSILON) + step) * mostX +
          (tokens + 3) * EPSILON * Math.abs(want) +
          2 ** -120
        );
    }
  };
}

/** Targets: [tokens], a share `ignored` of them without a target. */
export function targetsOf({ tokens, vocabulary, seed }: HeadSizes, ignored: number): ArrayView<'i32'> {
  const rng = createRng(seed).named('targets');
  return i32View(
    [tokens],
    Array.from({ length: tokens }, (_, t) =>
      rng.uniform(t, 1) < ignored ? IGNORED_TARGET : Math.floor(rng.uniform(t) * vocabulary),
    ),
  );
}

/** Weights of tokens: [tokens], some of them 0. */
export const tokenWeightsOf = ({ tokens }: HeadSizes): ArrayView<'f32'> =>
  f32View(
    [tokens],
    Float32Array.from({ length: tokens }, (_, t) => (t % 3) / 2),
  );

export const arbitraryHeadSizes: fc.Arbitrary<HeadSizes> = fc.record({
  tokens: arbitrarySize(40),
  hidden: arbitrarySize(80),
  vocabulary: arbitrarySize(300).map((n) => Math.max(n, 1)),
  seed: arbitrarySeed,
});

/** What calls of every op of the head vary. */
export const headParameters = ({ half, computeDtypes }: HalfSetting) => ({
  sizes: arbitraryHeadSizes,
  ignored: fc.constantFrom(0, 0.3, 1),
  computeDtype: fc.constantFrom(...computeDtypes),
  weightDtype: fc.boolean().map((isHalf): FloatDType => (isHalf ? half : 'f32')),
  softCap: fc.constantFrom(0, 0, 1, 30),
  isWeighted: fc.boolean(),
  gradient: fc.boolean(),
});

/** A weight of the head: [vocabulary, hidden] */
export const headWeight = ({ hidden, vocabulary, seed }: HeadSizes, dtype: FloatDType): FloatView =>
  dtype === 'f32'
    ? normalView(seed, 'w', [vocabulary, hidden], 0.3)
    : normalHalfView(dtype, seed, 'w', [vocabulary, hidden]);

/** A weight whose logits rise by about `rise` along the vocabulary, or fall. */
export function risingWeight({ hidden, vocabulary, seed }: HeadSizes, rise: number): ArrayView<'f32'> {
  const weight = normalView(seed, 'w', [vocabulary, hidden], 0.1);
  for (let c = 0; c < vocabulary; c++) hostData(weight)[c * hidden] = (rise * c) / vocabulary;
  return weight;
}

/** Hidden states, weight, targets and token weights of one call. */
export const headInputs = (
  sizes: HeadSizes,
  {
    weightDtype,
    ignored,
    isWeighted,
  }: { readonly weightDtype: FloatDType; readonly ignored: number; readonly isWeighted: boolean },
) => ({
  x: normalView(sizes.seed, 'x', [sizes.tokens, sizes.hidden]),
  weight: headWeight(sizes, weightDtype),
  targets: targetsOf(sizes, ignored),
  tokenWeights: isWeighted ? tokenWeightsOf(sizes) : undefined,
});

/** Logits of ±1e4. */
function largeLogits() {
  const sizes = { tokens: 4, hidden: 1, vocabulary: 33, seed: 1 };
  const x = viewOf('f32', [4, 1], Float32Array.of(1e4, -1e4, 1, 0));
  const inputs = { x, weight: normalView(1, 'w', [33, 1]), targets: targetsOf(sizes, 0) };
  return {
    inputs,
    attributes: { computeDtype: 'f32' as const, lossScale: 1, gradient: true },
    suppliedOutputs: { dWeight: normalView(1, 'dw', [33, 1]) },
    bound: boundFor(sizes, inputs, { factor: 1 }),
  };
}

/** Logits that rise or fall along a row by far more than an exponential can hold. */
function* steepLogits() {
  const sizes = { tokens: 2, hidden: 1, vocabulary: 750, seed: 2 };
  const inputs = {
    x: viewOf('f32', [2, 1], Float32Array.of(1, -1)),
    weight: viewOf(
      'f32',
      [750, 1],
      Float32Array.from({ length: 750 }, (_, c) => 10 * c),
    ),
    targets: i32View([2], [749, 0]),
  };
  for (const softCap of [0, 1000])
    yield {
      inputs,
      attributes: { computeDtype: 'f32' as const, lossScale: 1, softCap, gradient: true },
      bound: boundFor(sizes, inputs, { factor: 1, cap: softCap }),
    };
}

/** Several chunks of tokens and slices of the vocabulary, with the gradient of the weight. */
function* chunkedCalls() {
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
    yield {
      inputs,
      attributes: { computeDtype: 'f32' as const, lossScale: 1 / tokens, gradient: true },
      suppliedOutputs: { dWeight: normalView(seed, 'dw', [vocabulary, hidden]) },
      bound: boundFor(sizes, inputs, { factor: 1 / tokens }),
    };
  }
}

/**
 * A head that is not trained: many rows, blocks of the vocabulary and of the depth, and logits that rise
 * along the vocabulary, so that the largest logit of half of the rows moves with every block.
 */
function* frozenHeadCalls() {
  for (const sizes of [
    { tokens: 2500, hidden: 2, vocabulary: 1100, seed: 5 },
    { tokens: 20, hidden: 1500, vocabulary: 1030, seed: 6 },
    { tokens: 40, hidden: 33, vocabulary: 7000, seed: 7 },
  ]) {
    const { tokens, hidden, seed } = sizes;
    const x = normalView(seed, 'x', [tokens, hidden]);
    const inputs = { x, weight: risingWeight(sizes, 60), targets: targetsOf(sizes, 0.2) };
    for (const computeDtype of ['f32', 'bf16'] as const)
      yield {
        inputs,
        attributes: { computeDtype, lossScale: 1 / tokens, gradient: true },
        bound: boundFor(sizes, inputs, { factor: 1 / tokens, computeDtype }),
      };
  }
}

const variedCase = (setting: HalfSetting): ConformanceCase =>
  conformanceCase(linearCrossEntropy, {
    title: 'in loss, token losses and gradients, whatever is ignored, weighted or wanted',
    parameters: fc.record({ ...headParameters(setting), wantsWeight: fc.boolean() }),
    numRuns: 80,
    call: ({ sizes, ignored, computeDtype, weightDtype, softCap, isWeighted, gradient, wantsWeight }) => {
      const { hidden, vocabulary, seed } = sizes;
      const inputs = headInputs(sizes, { weightDtype, ignored, isWeighted });
      return {
        inputs,
        attributes: { computeDtype, lossScale: 0.125, softCap, gradient },
        suppliedOutputs:
          gradient && wantsWeight ? { dWeight: normalView(seed, 'dw', [vocabulary, hidden]) } : {},
        bound: boundFor(sizes, inputs, { factor: 0.125, cap: softCap, computeDtype }),
      };
    },
    edges: () => (setting.half === 'f16' ? [] : [largeLogits(), ...steepLogits()]),
  });

export const linearCrossEntropyCases = [
  ...forHalves((setting) => [variedCase(setting)]),
  conformanceCase(linearCrossEntropy, {
    title: 'over several chunks of tokens and slices of the vocabulary',
    needs: 'large',
    edges: chunkedCalls,
  }),
  conformanceCase(linearCrossEntropy, {
    title: 'for a frozen head, many rows, and logits that rise along the vocabulary',
    needs: 'large',
    edges: frozenHeadCalls,
  }),
];
