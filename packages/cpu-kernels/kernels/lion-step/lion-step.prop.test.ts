import { hostData } from '@qdylora/contract';
import fc from 'fast-check';
import { test } from 'vitest';
import { lionStep } from '@qdylora/tensor';
import { arbitrarySeed, arbitrarySize, checkKernel, EPSILON, normalView, type Bound } from '@qdylora/testing';
import { everyLevel } from '../../test/every-level.ts';
import { arbitraryLion } from '../../test/state-cases.ts';

const levels = await everyLevel();

test('a Lion step agrees with its reference at every size, in signs except where rounding decides', () => {
  fc.assert(
    fc.property(arbitrarySize(50_000), arbitrarySeed, arbitraryLion, (size, seed, attributes) => {
      const gradient = normalView(seed, 'g', [size]);
      const parameter = normalView(seed, 'p', [size]);
      const m = normalView(seed, 'm', [size], 0.1);
      const { beta1, beta2, learningRate, gradientScale } = attributes;
      const bound: Bound = (name, i, want) => {
        const g = gradientScale * hostData(gradient)[i]!;
        const old = hostData(m)[i]!;
        if (name === 'm')
          return 5 * EPSILON * (Math.abs(beta2 * old) + Math.abs((1 - beta2) * g)) + 2 ** -149;
        const blend = beta1 * old + (1 - beta1) * g;
        const isDecided = Math.abs(blend) > 5 * EPSILON * (Math.abs(beta1 * old) + Math.abs((1 - beta1) * g));
        return (
          4 * EPSILON * (Math.abs(hostData(parameter)[i]!) + Math.abs(want)) +
          (isDecided ? 0 : 2 * learningRate)
        );
      };
      checkKernel(lionStep, levels, { inputs: { gradient }, attributes, given: { parameter, m }, bound });
    }),
    { numRuns: 10 },
  );
});
