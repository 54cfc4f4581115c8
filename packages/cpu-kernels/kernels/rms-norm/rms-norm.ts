import { bindKernel, type BoundKernel } from '@qdylora/contract';
import { residualNorm, rmsNorm, rmsNormBackward } from '@qdylora/tensor';
import type { CpuDoor } from '../../src/addon/addon-functions.ts';

export const rmsNormKernels = ({ native, withScratch }: CpuDoor): BoundKernel[] => {
  const forward = native('rmsNorm');
  const backward = native('rmsNormBackward');
  const withSum = native('residualNorm');
  const scratchFloats = native('rmsNormBackwardScratch');
  return [
    bindKernel(rmsNorm, ({ x, weight }, { y, inverseRms }, { epsilon, weightOffset }) => {
      forward(x, weight, y, inverseRms, inverseRms.shape[0], weight.shape[0], epsilon, weightOffset);
    }),
    bindKernel(residualNorm, ({ a, b, weight }, { sum, y, inverseRms }, { epsilon, weightOffset }) => {
      withSum(a, b, weight, sum, y, inverseRms, a.shape[0], a.shape[1], epsilon, weightOffset);
    }),
    bindKernel(
      rmsNormBackward,
      ({ x, weight, inverseRms, dy }, { dx, dWeight }, { weightOffset, accumulate }) => {
        const rows = inverseRms.shape[0];
        const hidden = weight.shape[0];
        withScratch(scratchFloats(rows, hidden, dWeight !== undefined), (scratch) => {
          backward(x, weight, inverseRms, dy, dx, dWeight, scratch, rows, hidden, weightOffset, accumulate);
        });
      },
    ),
  ];
};
