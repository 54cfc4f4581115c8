import { bindKernel, type BoundKernel } from '@qdylora/contract';
import { linearDistillation } from '@qdylora/tensor';
import type { CpuDoor } from '../../src/addon/addon-functions.ts';

export const linearDistillationKernels = ({ native, withScratch }: CpuDoor): BoundKernel[] => {
  const floats = native('linearDistillationScratch');
  const call = native('linearDistillation');
  return [
    bindKernel(
      linearDistillation,
      (
        { x, weight, targets, tokenWeights, topIds, topLogProbabilities, tailMass },
        { loss, tokenLosses, dx },
        { computeDtype, lossScale, softCap = 0, distillation },
      ) => {
        const [tokens, hidden] = x.shape as [number, number];
        const sizes = [tokens, hidden, weight.shape[0], topIds.shape[1]] as const;
        const isBf16 = computeDtype === 'bf16';
        const inputs = [x, weight, targets, tokenWeights, topIds, topLogProbabilities, tailMass] as const;
        const outputs = [loss, tokenLosses, dx] as const;
        withScratch(floats(...sizes, isBf16), (scratch) => {
          call(...inputs, ...outputs, scratch, ...sizes, lossScale, distillation, softCap, isBf16);
        });
      },
    ),
  ];
};
