import { bindKernel, elementCount, type BoundKernel } from '@qdylora/contract';
import { sumOfSquares } from '@qdylora/tensor';
import { i32, input, output, u64, type CudaDoor } from '../../launch/launch.ts';

/** As in sum-of-squares.cu. */
const ELEMENTS_OF_BLOCK = 4096;
const THREADS = 256;

export const sumOfSquaresKernels = ({ launch, withScratch }: CudaDoor): BoundKernel[] => [
  bindKernel(sumOfSquares, ({ x }, { sum }) => {
    const n = elementCount(x.shape);
    const blocks = Math.ceil(n / ELEMENTS_OF_BLOCK);
    withScratch(Math.max(1, 2 * blocks), (partials) => {
      launch({
        module: 'sum-of-squares',
        kernel: 'squarePartials',
        blocks,
        threads: THREADS,
        arguments: [input(x), output(partials), u64(n)],
      });
      launch({
        module: 'sum-of-squares',
        kernel: 'addSquares',
        blocks: 1,
        threads: THREADS,
        arguments: [input(partials), output(sum), i32(blocks)],
      });
    });
  }),
];
