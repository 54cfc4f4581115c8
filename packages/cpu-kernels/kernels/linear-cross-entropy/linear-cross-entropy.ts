import { bindKernel, type BoundKernel } from '@qdylora/contract';
import { linearCrossEntropy } from '@qdylora/tensor';
import type { CpuDoor } from '../../src/addon/addon-functions.ts';

export const linearCrossEntropyKernels = ({ native, withScratch }: CpuDoor): BoundKernel[] => {
  const wholeFloats = native('linearCrossEntropyScratch');
  const whole = native('linearCrossEntropy');
  const streamedFloats = native('linearCrossEntropyStreamedScratch');
  const streamed = native('linearCrossEntropyStreamed');
  return [
    bindKernel(
      linearCrossEntropy,
      (
        { x, weight, targets, tokenWeights },
        { loss, tokenLosses, dx, dWeight },
        { computeDtype, lossScale, softCap = 0 },
      ) => {
        const [tokens, hidden] = x.shape as [number, number];
        const vocabulary = weight.shape[0];
        const sizes = [tokens, hidden, vocabulary] as const;
        const isBf16 = computeDtype === 'bf16';
        const arrays = [x, weight, targets, tokenWeights, loss, tokenLosses, dx] as const;
        if (dWeight)
          withScratch(wholeFloats(...sizes), (scratch) => {
            whole(...arrays, dWeight, scratch, ...sizes, lossScale, softCap, isBf16);
          });
        else
          withScratch(streamedFloats(...sizes, isBf16), (scratch) => {
            streamed(...arrays, scratch, ...sizes, lossScale, softCap, isBf16);
          });
      },
    ),
  ];
};
