import { bindKernel, type ArrayView, type BoundKernel } from '@qdylora/contract';
import { appendRows } from '@qdylora/tensor';
import type { CpuDoor } from '../../src/addon/addon-functions.ts';

export const appendRowsKernels = ({ native }: CpuDoor): BoundKernel[] => {
  const call = native('appendRows');
  return [
    bindKernel(appendRows, ({ x, segments }, { y }: { y?: ArrayView<'f32'> }, { rows }) => {
      if (y) call(x, segments, y, x.shape[0], segments.shape[0], rows, x.shape[1]);
    }),
  ];
};
