import { bindKernel, type BoundKernel } from '@qdylora/contract';
import { quantizeRows } from '@qdylora/tensor';
import { dtypeSuffix } from '../../launch/dtype-suffix.ts';
import { i32, input, output, type CudaDoor } from '../../launch/launch.ts';
import { rowThreads } from '../../launch/row-threads.ts';

export const quantizeRowsKernels = ({ launch }: CudaDoor): BoundKernel[] => [
  bindKernel(quantizeRows, ({ weight }, { codes, scales }) => {
    const [rows, cols] = weight.shape as [number, number];
    launch({
      module: 'quantize-rows',
      kernel: `quantizeRows${dtypeSuffix(weight)}`,
      blocks: rows,
      threads: rowThreads(cols),
      arguments: [input(weight), output(codes), output(scales), i32(cols)],
    });
  }),
];
