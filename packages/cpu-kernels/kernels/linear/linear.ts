import { bindKernel, type BoundKernel } from '@qdylora/contract';
import { linear, linearInputGradient, linearWeightGradient } from '@qdylora/tensor';
import type { CpuDoor } from '../../src/addon/addon-functions.ts';

export const linearKernels = ({ native, withScratch }: CpuDoor): BoundKernel[] => {
  const scratchFloats = native('linearScratch');
  const forward = native('linearForward');
  const inputGradient = native('linearInputGradient');
  const weightGradient = native('linearWeightGradient');
  return [
    bindKernel(linear, ({ x, weight, bias }, { y }, { computeDtype }) => {
      const [tokens, out] = y.shape as [number, number];
      const columns = weight.shape[1];
      withScratch(scratchFloats(tokens, columns), (scratch) => {
        forward(x, weight, bias, y, scratch, tokens, out, columns, computeDtype === 'bf16');
      });
    }),
    bindKernel(linearInputGradient, ({ dy, weight }, { dx }, { computeDtype, accumulate }) => {
      const [tokens, columns] = dx.shape as [number, number];
      const out = weight.shape[0];
      withScratch(scratchFloats(tokens, out), (scratch) => {
        inputGradient(dy, weight, dx, scratch, tokens, out, columns, computeDtype === 'bf16', accumulate);
      });
    }),
    bindKernel(linearWeightGradient, ({ x, dy }, { dWeight, dBias }, { computeDtype }) => {
      const [tokens, columns] = x.shape as [number, number];
      const out = dy.shape[1];
      withScratch(scratchFloats(out, tokens), (scratch) => {
        weightGradient(x, dy, dWeight, dBias, scratch, tokens, out, columns, computeDtype === 'bf16');
      });
    }),
  ];
};
