import { bindKernel, elementCount, type BoundKernel } from '@qdylora/contract';
import { activation, ACTIVATION_KINDS, activationBackward } from '@qdylora/tensor';
import { elementwiseGrid } from '../../launch/elementwise-grid.ts';
import { i32, input, output, u64, type CudaDoor } from '../../launch/launch.ts';

export const activationKernels = ({ launch }: CudaDoor): BoundKernel[] => [
  bindKernel(activation, ({ x }, { y }, { kind }) => {
    const n = elementCount(y.shape);
    launch({
      module: 'activation',
      kernel: 'activationF32',
      ...elementwiseGrid(n),
      arguments: [input(x), output(y), u64(n), i32(ACTIVATION_KINDS.indexOf(kind))],
    });
  }),
  bindKernel(activationBackward, ({ x, dy }, { dx }, { kind }) => {
    const n = elementCount(dx.shape);
    launch({
      module: 'activation',
      kernel: 'activationBackwardF32',
      ...elementwiseGrid(n),
      arguments: [input(x), input(dy), output(dx), u64(n), i32(ACTIVATION_KINDS.indexOf(kind))],
    });
  }),
];
