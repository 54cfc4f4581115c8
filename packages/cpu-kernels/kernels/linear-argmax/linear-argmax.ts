import { bindKernel, type BoundKernel } from '@qdylora/contract';
import { linearArgmax } from '@qdylora/tensor';
import type { CpuDoor } from '../../src/addon/addon-functions.ts';

export const linearArgmaxKernels = ({ native, withScratch }: CpuDoor): BoundKernel[] => {
  const scratchFloats = native('linearArgmaxScratch');
  const call = native('linearArgmax');
  return [
    bindKernel(linearArgmax, ({ x, weight, codes, scales }, { ids, logits }, { computeDtype }) => {
      const [out, inFeatures] = weight.shape as [number, number];
      withScratch(scratchFloats(x.shape[0], out, inFeatures), (scratch) => {
        call(
          x,
          weight,
          codes,
          scales,
          ids,
          logits,
          scratch,
          x.shape[0],
          out,
          inFeatures,
          computeDtype === 'bf16',
        );
      });
    }),
  ];
};
