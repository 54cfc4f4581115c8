import { bindKernel, elementCount, type BoundKernel } from '@qdylora/contract';
import { scaleBy } from '@qdylora/tensor';
import { elementwiseGrid } from '../../launch/elementwise-grid.ts';
import { input, output, u64, type CudaDoor } from '../../launch/launch.ts';

export const scaleByKernels = ({ launch }: CudaDoor): BoundKernel[] => [
  bindKernel(scaleBy, ({ x, factor }, { y }) => {
    const n = elementCount(y.shape);
    launch({
      module: 'scale-by',
      kernel: 'scaleByF32',
      ...elementwiseGrid(n),
      arguments: [input(x), input(factor), output(y), u64(n)],
    });
  }),
];
