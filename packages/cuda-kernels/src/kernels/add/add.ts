import { bindKernel, elementCount, type BoundKernel } from '@qdylora/contract';
import { add, addInto } from '@qdylora/tensor';
import { dtypeSuffix } from '../../launch/dtype-suffix.ts';
import { elementwiseGrid } from '../../launch/elementwise-grid.ts';
import { input, output, u64, type CudaDoor } from '../../launch/launch.ts';

export const addKernels = ({ launch }: CudaDoor): BoundKernel[] => [
  bindKernel(add, ({ a, b }, { y }) => {
    const n = elementCount(y.shape);
    launch({
      module: 'add',
      kernel: 'addF32',
      ...elementwiseGrid(n),
      arguments: [input(a), input(b), output(y), u64(n)],
    });
  }),
  bindKernel(addInto, ({ x }, { sum }) => {
    if (!sum) return;
    const n = elementCount(x.shape);
    launch({
      module: 'add',
      kernel: `addInto${dtypeSuffix(x)}`,
      ...elementwiseGrid(n),
      arguments: [input(x), output(sum), u64(n)],
    });
  }),
];
