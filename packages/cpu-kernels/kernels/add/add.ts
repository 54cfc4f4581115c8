import { bindKernel, elementCount, type BoundKernel } from '@qdylora/contract';
import { add, addInto } from '@qdylora/tensor';
import type { CpuDoor } from '../../src/addon/addon-functions.ts';

export const addKernels = ({ native }: CpuDoor): BoundKernel[] => {
  const sum = native('add');
  const sumInto = native('addInto');
  return [
    bindKernel(add, ({ a, b }, { y }) => {
      sum(a, b, y, elementCount(y.shape));
    }),
    bindKernel(addInto, ({ x }, outputs) => {
      if (outputs.sum) sumInto(x, outputs.sum, elementCount(x.shape));
    }),
  ];
};
