import { bindKernel, type BoundKernel } from '@qdylora/contract';
import { rope, ropeTable } from '@qdylora/tensor';
import type { CpuDoor } from '../../src/addon/addon-functions.ts';

export const ropeKernels = ({ native }: CpuDoor): BoundKernel[] => {
  const turn = native('rope');
  const table = native('ropeTable');
  return [
    bindKernel(rope, ({ x, cos, sin }, { y }, { headDim, inverse }) => {
      turn(x, cos, sin, y, x.shape[0], x.shape[1], headDim, cos.shape[1], inverse);
    }),
    bindKernel(ropeTable, ({ positions, inverseFrequencies }, { cos, sin }, { scale }) => {
      table(positions, inverseFrequencies, cos, sin, positions.shape[0], inverseFrequencies.shape[0], scale);
    }),
  ];
};
