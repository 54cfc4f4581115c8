import fc from 'fast-check';
import { test } from 'vitest';
import { hostData, f32View } from '@qdylora/contract';
import { adamwStep, type AdamwAttributes } from '@qdylora/tensor';
import { arbitrarySeed, arbitrarySize, checkKernel, EPSILON, normalView, type Bound } from '@qdylora/testing';
import { everyLevel } from '../../test/every-level.ts';

const levels = await everyLevel();
const arbitraryAttributes: fc.Arbitrary<AdamwAttributes> = fc.record({
  learningRate: fc.constantFrom(1e-4, 2e-3),
  beta1: fc.constantFrom(0, 0.9),
  beta2: fc.constantFrom(0.95, 0.999),
  epsilon: fc.constantFrom(1e-8, 1e-6),
  weightDecay: fc.constantFrom(0, 0.1),
  step: fc.integer({ min: 1, max: 5000 }),
  gradientScale: fc.constantFrom(1, 0.37),
});

test('an AdamW step agrees with its reference, in place, at every size', () => {
  fc.assert(
    fc.property(arbitrarySize(50_000), arbitrarySeed, arbitraryAttributes, (size, seed, attributes) => {
      const gradient = normalView(seed, 'g', [size]);
      const parameter = normalView(seed, 'p', [size]);
      const m = normalView(seed, 'm', [size], 0.1);
      const v = f32View(
        [size],
        hostData(normalView(seed, 'v', [size], 0.1)).map((x) => x * x),
      );
      const { beta1, beta2, learningRate, step, epsilon } = attributes;
      const bound: Bound = (name, i, want) => {
        // m: three rounded factors and a sum of terms of either sign.
        // v: the same, all positive, one product more.
        const mTerms =
          Math.abs(beta1 * hostData(m)[i]!) +
          Math.abs((1 - beta1) * attributes.gradientScale * hostData(gradient)[i]!);
        if (name === 'm') return 5 * EPSILON * mTerms + 2 ** -149;
        const g = attributes.gradientScale * hostData(gradient)[i]!;
        const second = beta2 * hostData(v)[i]! + (1 - beta2) * g * g;
        if (name === 'v') return 8 * EPSILON * want + 2 ** -149;
        // p: two roundings of p, and a step whose numerator is off by m's error and whose denominator by half
        // of v's: 5 + 4 + 6 more for its own operations.
        return (
          3 * EPSILON * (Math.abs(hostData(parameter)[i]!) + Math.abs(want)) +
          (((16 * EPSILON * learningRate) / (1 - beta1 ** step)) * mTerms) /
            (Math.sqrt(second) / Math.sqrt(1 - beta2 ** step) + epsilon)
        );
      };
      checkKernel(adamwStep, levels, { inputs: { gradient }, attributes, given: { parameter, m, v }, bound });
    }),
    { numRuns: 10 },
  );
});
