import { f32View, hostData } from '@qdylora/contract';
import { lionRates, lionStep } from '@qdylora/tensor';
import fc from 'fast-check';
import { arbitrarySeed, arbitrarySize, normalView } from '../arbitraries.ts';
import { conformanceCase } from '../conformance-case.ts';
import { arbitraryLion } from '../eight-bit-states.ts';
import { EPSILON } from '../tolerance.ts';

export const lionStepCases = [
  conformanceCase(lionStep, {
    title: 'at every size: signs except where rounding decides',
    parameters: fc.record({ size: arbitrarySize(50_000), seed: arbitrarySeed, attributes: arbitraryLion }),
    numRuns: 10,
    call: ({ size, seed, attributes }) => {
      const gradient = normalView(seed, 'g', [size]);
      const parameter = normalView(seed, 'p', [size]);
      const m = normalView(seed, 'm', [size], 0.1);
      const { beta1, beta2, learningRate, gradientScale } = attributes;
      return {
        inputs: { gradient, rates: f32View([3], lionRates(attributes)) },
        attributes: { beta1, beta2 },
        suppliedOutputs: { parameter, m },
        bound: (name, i, want) => {
          const g = gradientScale * hostData(gradient)[i];
          const oldM = hostData(m)[i];
          if (name === 'm')
            return 5 * EPSILON * (Math.abs(beta2 * oldM) + Math.abs((1 - beta2) * g)) + 2 ** -149;
          const blend = beta1 * oldM + (1 - beta1) * g;
          const blendError = 5 * EPSILON * (Math.abs(beta1 * oldM) + Math.abs((1 - beta1) * g));
          const isDecided = Math.abs(blend) > blendError;
          return (
            4 * EPSILON * (Math.abs(hostData(parameter)[i]) + Math.abs(want)) +
            (isDecided ? 0 : 2 * learningRate)
          );
        },
      };
    },
  }),
];
