import { bindKernel, type BoundKernel } from '@qdylora/contract';
import { linearCrossEntropyTopK } from '@qdylora/tensor';
import type { CpuDoor } from '../../src/addon/addon-functions.ts';

export const crossEntropyTopKKernels = ({ native, withScratch }: CpuDoor): BoundKernel[] => {
  const floats = native('linearCrossEntropyTopKScratch');
  const call = native('linearCrossEntropyTopK');
  return [
    bindKernel(
      linearCrossEntropyTopK,
      (
        { x, weight, targets, tokenWeights },
        { loss, tokenLosses, dx, topIds, topLogProbabilities, tailMass },
        { computeDtype, lossScale, softCap = 0, topK },
      ) => {
        const [tokens, hidden] = x.shape as [number, number];
        const sizes = [tokens, hidden, weight.shape[0], topK] as const;
        const isBf16 = computeDtype === 'bf16';
        const losses = [loss, tokenLosses, dx] as const;
        const classes = [topIds, topLogProbabilities, tailMass] as const;
        withScratch(floats(...sizes, isBf16), (scratch) => {
          call(
            x,
            weight,
            targets,
            tokenWeights,
            ...losses,
            ...classes,
            scratch,
            ...sizes,
            lossScale,
            softCap,
            isBf16,
          );
        });
      },
    ),
  ];
};
