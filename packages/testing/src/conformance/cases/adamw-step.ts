import { f32View, hostData } from '@qdylora/contract';
import { adamwRates, adamwStep, type AdamwAttributes, type AdamwRates } from '@qdylora/tensor';
import fc from 'fast-check';
import { arbitrarySeed, arbitrarySize, normalView } from '../arbitraries.ts';
import { conformanceCase } from '../conformance-case.ts';
import { EPSILON, type Bound } from '../tolerance.ts';

export const arbitraryAdamw: fc.Arbitrary<AdamwAttributes & AdamwRates> = fc.record({
  learningRate: fc.constantFrom(1e-4, 2e-3),
  beta1: fc.constantFrom(0, 0.9),
  beta2: fc.constantFrom(0.95, 0.999),
  epsilon: fc.constantFrom(1e-8, 1e-6),
  weightDecay: fc.constantFrom(0, 0.1),
  step: fc.integer({ min: 1, max: 5000 }),
  gradientScale: fc.constantFrom(1, 0.37),
});

type Numbers = ArrayLike<number>;
interface StepNumbers {
  readonly gradient: Numbers;
  readonly parameter: Numbers;
  readonly m: Numbers;
  readonly v: Numbers;
}

function boundOf(
  { gradient, parameter, m, v }: StepNumbers,
  attributes: AdamwAttributes & AdamwRates,
): Bound {
  const { beta1, beta2, learningRate, step, epsilon, gradientScale } = attributes;
  return (name, i, want) => {
    const g = gradientScale * gradient[i];
    // m: three rounded factors and a sum of terms of either sign.
    // v: the same, all positive, one product more.
    const mTerms = Math.abs(beta1 * m[i]) + Math.abs((1 - beta1) * g);
    if (name === 'm') return 5 * EPSILON * mTerms + 2 ** -149;
    if (name === 'v') return 8 * EPSILON * want + 2 ** -149;
    const second = beta2 * v[i] + (1 - beta2) * g * g;
    // p: two roundings of p, and a step whose numerator is off by m's error and whose denominator by half of
    // v's: 5 + 4 + 6 more for its own operations.
    return (
      3 * EPSILON * (Math.abs(parameter[i]) + Math.abs(want)) +
      (((16 * EPSILON * learningRate) / (1 - beta1 ** step)) * mTerms) /
        (Math.sqrt(second) / Math.sqrt(1 - beta2 ** step) + epsilon)
    );
  };
}

export const adamwStepCases = [
  conformanceCase(adamwStep, {
    title: 'at every size',
    parameters: fc.record({ size: arbitrarySize(50_000), seed: arbitrarySeed, attributes: arbitraryAdamw }),
    numRuns: 10,
    call: ({ size, seed, attributes }) => {
      const gradient = normalView(seed, 'g', [size]);
      const parameter = normalView(seed, 'p', [size]);
      const m = normalView(seed, 'm', [size], 0.1);
      const v = f32View(
        [size],
        hostData(normalView(seed, 'v', [size], 0.1)).map((x) => x * x),
      );
      const numbers = {
        gradient: hostData(gradient),
        parameter: hostData(parameter),
        m: hostData(m),
        v: hostData(v),
      };
      const { beta1, beta2, epsilon } = attributes;
      return {
        inputs: { gradient, rates: f32View([4], adamwRates(attributes, attributes)) },
        attributes: { beta1, beta2, epsilon },
        suppliedOutputs: { parameter, m, v },
        bound: boundOf(numbers, attributes),
      };
    },
  }),
];
