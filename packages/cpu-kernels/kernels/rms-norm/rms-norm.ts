import { bindKernel, type BoundKernel } from '@qdylora/contract';
import { rmsNorm, rmsNormBackward } from '@qdylora/tensor';
import type { CpuDoor } from '../../src/addon-functions.ts';

export const rmsNormKernels = ({ native, withScratch }: CpuDoor): BoundKernel[] => {
  const forward = native('rmsNorm'), backward = native('rmsNormBackward'), scratchFloats = native('rmsNormBackwardScratch');
  return [
    bindKernel(rmsNorm, ({ x, weight }, { y, inverseRms }, { epsilon, weightOffset }) => {
      forward(x.data, weight.data, y.data, inverseRms.data, x.shape[0]!, x.shape[1]!, epsilon, weightOffset);
    }),
    bindKernel(rmsNormBackward, ({ x, weight, inverseRms, dy }, { dx, dWeight }, { weightOffset, accumulate }) => {
      const [tokens, hidden] = x.shape as [number, number];
      withScratch(scratchFloats(tokens, hidden, dWeight !== undefined), (scratch) => {
        backward(x.data, weight.data, inverseRms.data, dy.data, dx.data, dWeight?.data, scratch, tokens, hidden, weightOffset, accumulate);
      });
    }),
  ];
};
