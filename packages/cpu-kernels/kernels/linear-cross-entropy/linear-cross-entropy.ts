import { bindKernel, type BoundKernel } from '@qdylora/contract';
import { linearCrossEntropy } from '@qdylora/tensor';
import type { CpuDoor } from '../../src/addon-functions.ts';

export const linearCrossEntropyKernels = ({ native, withScratch }: CpuDoor): BoundKernel[] => {
  const scratchFloats = native('linearCrossEntropyScratch'), call = native('linearCrossEntropy');
  return [
    bindKernel(linearCrossEntropy, ({ x, weight, targets, tokenWeights }, { loss, tokenLosses, dx, dWeight }, { computeDtype, lossScale, softCap = 0 }) => {
      const [tokens, hidden] = x.shape as [number, number], vocabulary = weight.shape[0]!;
      withScratch(scratchFloats(tokens, hidden, vocabulary), (scratch) => {
        call(x.data, weight.data, targets.data, tokenWeights?.data, loss.data, tokenLosses.data, dx?.data, dWeight?.data, scratch, tokens, hidden, vocabulary, lossScale, softCap, computeDtype === 'bf16');
      });
    }),
  ];
};
