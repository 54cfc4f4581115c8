import { bindKernel, elementCount, type BoundKernel } from '@qdylora/contract';
import { softCap, softCapBackward } from '@qdylora/tensor';
import { elementwiseGrid } from '../../launch/elementwise-grid.ts';
import { f32, input, output, u64, type CudaDoor } from '../../launch/launch.ts';

export const softCapKernels = ({ launch }: CudaDoor): BoundKernel[] => [
  bindKernel(softCap, ({ x }, { y }, { cap }) => {
    const n = elementCount(y.shape);
    launch({
      module: 'soft-cap',
      kernel: 'softCapF32',
      ...elementwiseGrid(n),
      arguments: [input(x), output(y), u64(n), f32(cap)],
    });
  }),
  bindKernel(softCapBackward, ({ y, dy }, { dx }, { cap }) => {
    const n = elementCount(dx.shape);
    launch({
      module: 'soft-cap',
      kernel: 'softCapBackwardF32',
      ...elementwiseGrid(n),
      arguments: [input(y), input(dy), output(dx), u64(n), f32(cap)],
    });
  }),
];
