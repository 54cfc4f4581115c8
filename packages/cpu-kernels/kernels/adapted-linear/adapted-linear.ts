import { bindKernel, type BoundKernel } from '@qdylora/contract';
import { adaptedLinear, adaptedLinearBackward, type BaseOperands } from '@qdylora/lora-dynamic';
import type { CpuDoor, NativeArgument } from '../../src/addon-functions.ts';

/** The arrays of the frozen weight, in the order of the C++ signatures. */
const baseArrays = ({ weight, codes, levels, absmax, absmaxCodes, nestedAbsmax, nestedMap }: BaseOperands): NativeArgument[] =>
  [weight?.data, codes?.data, levels?.data, absmax?.data, absmaxCodes?.data, nestedAbsmax?.data, nestedMap?.data];

export const adaptedLinearKernels = ({ native, withScratch }: CpuDoor): BoundKernel[] => {
  const forwardFloats = native('adaptedForwardScratch'), forward = native('adaptedLinearForward'), backwardFloats = native('adaptedBackwardScratch'), backward = native('adaptedLinearBackward');
  return [
    bindKernel(adaptedLinear, (inputs, { y, u }, { rows, cols, blockSize, tiled = false, nestedOffset, computeDtype, scale }) => {
      const { x, xAdapter, bias, a, b } = inputs, [tokens, r] = u.shape as [number, number];
      withScratch(forwardFloats(tokens, cols, r), (scratch) => {
        forward(x.data, xAdapter?.data, ...baseArrays(inputs), bias?.data, a.data, b.data, y.data, u.data, scratch, tokens, rows, cols, r, blockSize, tiled, nestedOffset, scale, computeDtype === 'bf16');
      });
    }),
    bindKernel(adaptedLinearBackward, (inputs, { dx, dxAdapter, da, db }, { rows, cols, blockSize, tiled = false, nestedOffset, computeDtype, scale, trainFrom, accumulate }) => {
      const { dy, x, xAdapter, u, a, b } = inputs, [tokens, r] = u.shape as [number, number];
      withScratch(backwardFloats(tokens, rows, r), (scratch) => {
        backward(dy.data, x.data, xAdapter?.data, u.data, ...baseArrays(inputs), a.data, b.data, dx?.data, dxAdapter?.data, da?.data, db?.data, scratch,
          tokens, rows, cols, r, trainFrom, blockSize, tiled, nestedOffset, scale, computeDtype === 'bf16', accumulate);
      });
    }),
  ];
};
