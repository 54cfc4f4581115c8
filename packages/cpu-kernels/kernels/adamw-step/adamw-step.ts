import { bindKernel, elementCount, type BoundKernel } from '@qdylora/contract';
import { adamwStep } from '@qdylora/tensor';
import type { CpuDoor } from '../../src/addon/addon-functions.ts';

export const adamwStepKernels = ({ native }: CpuDoor): BoundKernel[] => {
  const call = native('adamwStep');
  return [
    bindKernel(adamwStep, ({ gradient, rates }, { parameter, m, v }, { beta1, beta2, epsilon }) => {
      call(gradient, rates, parameter, m, v, elementCount(gradient.shape), beta1, beta2, epsilon);
    }),
  ];
};
