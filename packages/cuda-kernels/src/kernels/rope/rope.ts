import { bindKernel, type BoundKernel } from '@qdylora/contract';
import { rope, ropeTable } from '@qdylora/tensor';
import { dtypeSuffix } from '../../launch/dtype-suffix.ts';
import { elementwiseGrid } from '../../launch/elementwise-grid.ts';
import { f32, f64, i32, input, output, u64, type CudaDoor } from '../../launch/launch.ts';

/** Threads that turn the pairs of one token. */
const THREADS = 128;

export const ropeKernels = ({ launch }: CudaDoor): BoundKernel[] => [
  bindKernel(rope, ({ x, cos, sin }, { y }, { headDim, inverse }) => {
    const [tokens, width] = x.shape;
    launch({
      module: 'rope',
      kernel: `rope${dtypeSuffix(x)}`,
      blocks: width === 0 ? 0 : tokens,
      threads: THREADS,
      arguments: [
        input(x),
        input(cos),
        input(sin),
        output(y),
        i32(width / headDim),
        i32(headDim),
        i32(cos.shape[1]),
        f32(inverse ? -1 : 1),
      ],
    });
  }),
  bindKernel(ropeTable, ({ positions, inverseFrequencies }, { cos, sin }, { scale }) => {
    const [tokens, pairs] = cos.shape;
    launch({
      module: 'rope',
      kernel: 'ropeTable',
      ...elementwiseGrid(tokens * pairs, 1),
      arguments: [
        input(positions),
        input(inverseFrequencies),
        output(cos),
        output(sin),
        u64(tokens * pairs),
        i32(pairs),
        f64(scale),
      ],
    });
  }),
];
