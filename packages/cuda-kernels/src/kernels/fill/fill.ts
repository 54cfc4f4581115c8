import { bindKernel, elementCount, type BoundKernel } from '@qdylora/contract';
import { fill } from '@qdylora/tensor';
import { elementwiseGrid } from '../../launch/elementwise-grid.ts';
import { f32, output, u64, type CudaDoor } from '../../launch/launch.ts';

export const fillKernels = ({ launch }: CudaDoor): BoundKernel[] => [
  bindKernel(fill, (_, { y }, { value }) => {
    const n = elementCount(y.shape);
    launch({
      module: 'fill',
      kernel: 'fillF32',
      ...elementwiseGrid(n),
      arguments: [output(y), f32(value), u64(n)],
    });
  }),
];
