import { bindKernel, elementCount, type BoundKernel } from '@qdylora/contract';
import { lionStep } from '@qdylora/tensor';
import type { CpuDoor } from '../../src/addon/addon-functions.ts';

export const lionStepKernels = ({ native }: CpuDoor): BoundKernel[] => {
  const call = native('lionStep');
  return [
    bindKernel(lionStep, ({ gradient, rates }, { parameter, m }, { beta1, beta2 }) => {
      call(gradient, rates, parameter, m, elementCount(gradient.shape), beta1, beta2);
    }),
  ];
};
