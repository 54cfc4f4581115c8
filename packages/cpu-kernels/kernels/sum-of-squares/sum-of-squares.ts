import { bindKernel, elementCount, type BoundKernel } from '@qdylora/contract';
import { sumOfSquares } from '@qdylora/tensor';
import type { CpuDoor } from '../../src/addon/addon-functions.ts';

export const sumOfSquaresKernels = ({ native, withScratch }: CpuDoor): BoundKernel[] => {
  const call = native('sumOfSquares');
  const scratchFloats = native('sumOfSquaresScratch');
  return [
    bindKernel(sumOfSquares, ({ x }, { sum }) => {
      const count = elementCount(x.shape);
      withScratch(scratchFloats(count), (scratch) => {
        call(x, sum, scratch, count);
      });
    }),
  ];
};
