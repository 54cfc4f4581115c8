import { bindKernel, type BoundKernel } from '@qdylora/contract';
import { matmulNf4, matmulNf4InputGradient } from '@qdylora/quant';
import type { CpuDoor } from '../../src/addon/addon-functions.ts';

const forwardKernel = ({ native, withScratch }: CpuDoor): BoundKernel => {
  const scratchFloats = native('matmulNf4Scratch');
  const forward = native('matmulNf4Forward');
  return bindKernel(
    matmulNf4,
    (
      { x, bias, codes, levels, absmax, absmaxCodes, nestedAbsmax, nestedMap },
      { y },
      { rows, cols, blockSize, tiled = false, nestedOffset, computeDtype },
    ) => {
      const tokens = x.shape[0];
      withScratch(scratchFloats(tokens, cols), (scratch) => {
        forward(
          x,
          codes,
          levels,
          absmax,
          absmaxCodes,
          nestedAbsmax,
          nestedMap,
          bias,
          y,
          scratch,
          tokens,
          rows,
          cols,
          blockSize,
          tiled,
          nestedOffset,
          computeDtype === 'bf16',
        );
      });
    },
  );
};

const inputGradientKernel = ({ native, withScratch }: CpuDoor): BoundKernel => {
  const scratchFloats = native('matmulNf4Scratch');
  const inputGradient = native('matmulNf4InputGradient');
  return bindKernel(
    matmulNf4InputGradient,
    (
      { dy, codes, levels, absmax, absmaxCodes, nestedAbsmax, nestedMap },
      { dx },
      { rows, cols, blockSize, tiled = false, nestedOffset, computeDtype, accumulate },
    ) => {
      const tokens = dy.shape[0];
      withScratch(scratchFloats(tokens, rows), (scratch) => {
        inputGradient(
          dy,
          codes,
          levels,
          absmax,
          absmaxCodes,
          nestedAbsmax,
          nestedMap,
          dx,
          scratch,
          tokens,
          rows,
          cols,
          blockSize,
          tiled,
          nestedOffset,
          computeDtype === 'bf16',
          accumulate,
        );
      });
    },
  );
};

export const matmulNf4Kernels = (door: CpuDoor): BoundKernel[] => [
  forwardKernel(door),
  inputGradientKernel(door),
];
