import { hostData } from '@qdylora/contract';
import { linear, linearInputGradient, linearWeightGradient } from '@qdylora/tensor';
import fc from 'fast-check';
import { arbitrarySeed, arbitrarySize, normalFloatView, normalView } from '../arbitraries.ts';
import { conformanceCase, forHalves, type ConformanceCase, type HalfSetting } from '../conformance-case.ts';
import { magnitudeBound } from '../tolerance.ts';

/**
 * Roundings per term of a sum of n products: one for the product and one per addition; the reference rounds
 * its float64 sum once.
 */
const sumRoundings = (terms: number): number => terms + 3;

const sizesFor = ({ computeDtypes }: HalfSetting) => ({
  tokens: arbitrarySize(70),
  out: arbitrarySize(150),
  columns: arbitrarySize(300),
  seed: arbitrarySeed,
  computeDtype: fc.constantFrom(...computeDtypes),
});
const weightDtypeFor = ({ half }: HalfSetting) => fc.constantFrom('f32', half);

/** [tokens, out, columns] of several depth blocks, row blocks and panel groups. */
const BLOCKS = [
  [200, 130, 1100],
  [5000, 17, 40],
  [3, 700, 1030],
] as const;

/** Blocks, and NaN and infinity, in float32. */
function* blocksAndOdd() {
  const attributes = { computeDtype: 'f32' as const };
  for (const [tokens, out, columns] of BLOCKS) {
    const inputs = {
      x: normalView(1, 'x', [tokens, columns]),
      weight: normalView(1, 'w', [out, columns]),
    };
    yield {
      inputs,
      attributes,
      bound: magnitudeBound(linear, { inputs, attributes }, sumRoundings(columns)),
    };
  }
  const x = normalView(1, 'x', [20, 33]);
  const inputs = { x, weight: normalView(1, 'w', [40, 33]) };
  const bound = magnitudeBound(linear, { inputs, attributes }, sumRoundings(33));
  hostData(x)[3 * 33 + 5] = NaN;
  hostData(x)[7 * 33 + 32] = Infinity;
  yield { inputs, attributes, bound };
}

/**
 * Numbers at both ends of float16: 65519 is the largest one that rounds to a finite number, 2⁻²⁵ the largest
 * that rounds to 0; infinite operands and what they reach are results.
 */
function* beyondRange() {
  const attributes = { computeDtype: 'f16' as const };
  const x = normalView(1, 'x', [20, 33]);
  const inputs = { x, weight: normalView(1, 'w', [40, 33]) };
  const ends = [65519, -65520, 1e30, 2 ** -25, 1.5 * 2 ** -25, 2 ** -24, -(2 ** -15), NaN];
  ends.forEach((end, row) => (hostData(x)[row * 33 + row] = end));
  yield { inputs, attributes, bound: magnitudeBound(linear, { inputs, attributes }, sumRoundings(33)) };
}

const forwardCase = (setting: HalfSetting): ConformanceCase =>
  conformanceCase(linear, {
    title: 'for every size and dtype; NaN and infinity reach exactly their own row',
    parameters: fc.record({
      ...sizesFor(setting),
      weightDtype: weightDtypeFor(setting),
      hasBias: fc.boolean(),
    }),
    numRuns: 60,
    call: ({ tokens, out, columns, seed, computeDtype, weightDtype: dtype, hasBias }) => {
      const inputs = {
        x: normalView(seed, 'x', [tokens, columns]),
        weight: normalFloatView(dtype, seed, 'weight', [out, columns]),
        bias: hasBias ? normalView(seed, 'bias', [out]) : undefined,
      };
      const attributes = { computeDtype };
      return {
        inputs,
        attributes,
        bound: magnitudeBound(linear, { inputs, attributes }, sumRoundings(columns)),
      };
    },
    edges: setting.half === 'f16' ? beyondRange : blocksAndOdd,
  });

const inputGradientCase = (setting: HalfSetting): ConformanceCase =>
  conformanceCase(linearInputGradient, {
    title: 'for every size and dtype, new and added to dx',
    parameters: fc.record({
      ...sizesFor(setting),
      weightDtype: weightDtypeFor(setting),
      accumulate: fc.boolean(),
    }),
    numRuns: 60,
    call: ({ tokens, out, columns, seed, computeDtype, weightDtype: dtype, accumulate }) => {
      const inputs = {
        dy: normalView(seed, 'dy', [tokens, out]),
        weight: normalFloatView(dtype, seed, 'weight', [out, columns]),
      };
      const attributes = { computeDtype, accumulate };
      const suppliedOutputs = accumulate ? { dx: normalView(seed, 'dx', [tokens, columns]) } : {};
      return {
        inputs,
        attributes,
        suppliedOutputs,
        bound: magnitudeBound(
          linearInputGradient,
          { inputs, attributes, suppliedOutputs },
          sumRoundings(out),
        ),
      };
    },
  });

const weightGradientCase = (setting: HalfSetting): ConformanceCase =>
  conformanceCase(linearWeightGradient, {
    title: 'for every size and dtype, added to dWeight and dBias',
    parameters: fc.record({ ...sizesFor(setting), hasBias: fc.boolean() }),
    numRuns: 60,
    call: ({ tokens, out, columns, seed, computeDtype, hasBias }) => {
      const inputs = {
        x: normalView(seed, 'x', [tokens, columns]),
        dy: normalView(seed, 'dy', [tokens, out]),
      };
      const attributes = { computeDtype };
      const suppliedOutputs = {
        dWeight: normalView(seed, 'dw', [out, columns]),
        ...(hasBias && { dBias: normalView(seed, 'db', [out]) }),
      };
      return {
        inputs,
        attributes,
        suppliedOutputs,
        bound: magnitudeBound(
          linearWeightGradient,
          { inputs, attributes, suppliedOutputs },
          sumRoundings(tokens),
        ),
      };
    },
  });

export const linearCases = forHalves((setting) => [
  forwardCase(setting),
  inputGradientCase(setting),
  weightGradientCase(setting),
]);
