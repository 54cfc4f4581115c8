import { bindKernel, type BoundKernel } from '@qdylora/contract';
import { rope, ropeTable } from '@qdylora/tensor';
import type { CpuDoor } from '../../src/addon-functions.ts';

export const ropeKernels = ({ native }: CpuDoor): BoundKernel[] => {
  const turn = native('rope');
  const table = native('ropeTable');
  return [
    bindKernel(rope, ({ x, cos, sin }, { y }, { headDim, inverse }) => {
      turn(x.data, cos.data, sin.data, y.data, x.shape[0]!, x.shape[1]!, headDim, cos.shape[1]!, inverse);
    }),
    bindKernel(ropeTable, ({ positions, inverseFrequencies }, { cos, sin }, { scale }) => {
      table(
        positions.data,
        inverseFrequencies.data,
        cos.data,
        sin.data,
        positions.shape[0]!,
        inverseFrequencies.shape[0]!,
        scale,
      );
    }),
  ];
};
