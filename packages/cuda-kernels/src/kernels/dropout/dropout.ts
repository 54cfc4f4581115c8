import { bindKernel, elementCount, type BoundKernel } from '@qdylora/contract';
import { dropout } from '@qdylora/tensor';
import { dtypeSuffix } from '../../launch/dtype-suffix.ts';
import { elementwiseGrid } from '../../launch/elementwise-grid.ts';
import { f32, input, output, u32, u64, type CudaDoor } from '../../launch/launch.ts';

export const dropoutKernels = ({ launch }: CudaDoor): BoundKernel[] => [
  bindKernel(dropout, ({ x, counter }, { y }, { probability, key }) => {
    const n = elementCount(y.shape);
    launch({
      module: 'dropout',
      kernel: `dropout${dtypeSuffix(x)}`,
      ...elementwiseGrid(n),
      arguments: [
        input(x),
        input(counter),
        output(y),
        u64(n),
        u32(key >>> 0),
        u32(Math.round(probability * 2 ** 24)),
        f32(1 / (1 - probability)),
      ],
    });
  }),
];
