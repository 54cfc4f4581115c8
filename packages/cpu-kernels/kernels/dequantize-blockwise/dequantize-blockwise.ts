import { bindKernel, type BoundKernel } from '@qdylora/contract';
import { dequantizeBlockwise } from '@qdylora/quant';
import type { CpuDoor } from '../../src/addon/addon-functions.ts';

export const dequantizeBlockwiseKernels = ({ native }: CpuDoor): BoundKernel[] => {
  const call = native('dequantizeBlockwise');
  return [
    bindKernel(
      dequantizeBlockwise,
      (
        { codes, levels, absmax, absmaxCodes, nestedAbsmax, nestedMap },
        { values },
        { rows, cols, blockSize, nestedOffset, tiled },
      ) => {
        call(
          codes,
          levels,
          absmax,
          absmaxCodes,
          nestedAbsmax,
          nestedMap,
          values.dtype === 'f32' ? values : undefined,
          values.dtype === 'bf16' ? values : undefined,
          rows * cols,
          blockSize,
          nestedOffset,
          tiled ? cols / blockSize : 0,
        );
      },
    ),
  ];
};
