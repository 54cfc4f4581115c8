import { bindKernel, type BoundKernel } from '@qdylora/contract';
import { dequantizeBlockwise } from '@qdylora/quant';
import { dtypeSuffix } from '../../launch/dtype-suffix.ts';
import { elementwiseGrid } from '../../launch/elementwise-grid.ts';
import { f32, i32, input, output, u32, u64, type CudaDoor } from '../../launch/launch.ts';

/** PER_THREAD in dequantize-blockwise.cu. */
const VALUES_OF_THREAD = 8;

export const dequantizeBlockwiseKernels = ({ launch }: CudaDoor): BoundKernel[] => [
  bindKernel(
    dequantizeBlockwise,
    (
      { codes, levels, absmax, absmaxCodes, nestedAbsmax, nestedMap },
      { values },
      { rows, cols, blockSize, nestedOffset, tiled },
    ) => {
      const n = rows * cols;
      const scales = absmax
        ? [input(absmax)]
        : [input(absmaxCodes!), input(nestedAbsmax!), input(nestedMap!)];
      launch({
        module: 'dequantize-blockwise',
        kernel: `dequantize${absmax ? '' : 'Nested'}${dtypeSuffix(values)}`,
        ...elementwiseGrid(n, VALUES_OF_THREAD),
        arguments: [
          input(codes),
          input(levels),
          ...scales,
          output(values),
          u64(n),
          i32(blockSize),
          u32(tiled ? cols / blockSize : 0),
          ...(absmax ? [] : [f32(nestedOffset)]),
        ],
      });
    },
  ),
];
