import { bindKernel, elementCount, type BoundKernel } from '@qdylora/contract';
import { appendRows } from '@qdylora/tensor';
import { elementwiseGrid } from '../../launch/elementwise-grid.ts';
import { i32, input, output, u64, type CudaDoor } from '../../launch/launch.ts';

export const appendRowsKernels = ({ launch }: CudaDoor): BoundKernel[] => [
  bindKernel(appendRows, ({ x, segments }, { y }, { rows }) => {
    const n = elementCount(x.shape);
    launch({
      module: 'append-rows',
      kernel: 'appendRows',
      ...elementwiseGrid(n),
      arguments: [
        input(x),
        input(segments),
        output(y),
        u64(n),
        i32(segments.shape[0]),
        i32(x.shape[0]),
        i32(rows),
        i32(x.shape[1]),
      ],
    });
  }),
];
