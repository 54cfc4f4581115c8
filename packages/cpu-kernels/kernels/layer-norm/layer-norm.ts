import { bindKernel, type BoundKernel } from '@qdylora/contract';
import { layerNorm, layerNormBackward } from '@qdylora/tensor';
import type { CpuDoor } from '../../src/addon/addon-functions.ts';

export const layerNormKernels = ({ native, withScratch }: CpuDoor): BoundKernel[] => {
  const forward = native('layerNorm');
  const backward = native('layerNormBackward');
  const scratchFloats = native('layerNormBackwardScratch');
  return [
    bindKernel(layerNorm, ({ x, weight, bias }, { y, mean, inverseDeviation }, { epsilon }) => {
      forward(x, weight, bias, y, mean, inverseDeviation, x.shape[0], x.shape[1], epsilon);
    }),
    bindKernel(
      layerNormBackward,
      ({ x, weight, mean, inverseDeviation, dy }, { dx, dWeight, dBias }, { accumulate }) => {
        const [tokens, hidden] = x.shape as [number, number];
        withScratch(scratchFloats(tokens, hidden, dWeight !== undefined, dBias !== undefined), (scratch) => {
          backward(
            x,
            weight,
            mean,
            inverseDeviation,
            dy,
            dx,
            dWeight,
            dBias,
            scratch,
            tokens,
            hidden,
            accumulate,
          );
        });
      },
    ),
  ];
};
