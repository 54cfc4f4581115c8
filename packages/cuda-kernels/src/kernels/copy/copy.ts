import { bindKernel, elementCount, type BoundKernel } from '@qdylora/contract';
import { copy } from '@qdylora/tensor';
import { dtypeSuffix } from '../../launch/dtype-suffix.ts';
import { elementwiseGrid } from '../../launch/elementwise-grid.ts';
import { input, output, u64, type CudaDoor } from '../../launch/launch.ts';

export const copyKernels = ({ launch }: CudaDoor): BoundKernel[] => [
  bindKernel(copy, ({ x }, { y }) => {
    const n = elementCount(x.shape);
    launch({
      module: 'copy',
      kernel: `copy${dtypeSuffix(x)}`,
      ...elementwiseGrid(n),
      arguments: [input(x), output(y), u64(n)],
    });
  }),
];
