import { bindKernel, elementCount, type BoundKernel } from '@qdylora/contract';
import { adamwStep } from '@qdylora/tensor';
import type { CpuDoor } from '../../src/addon-functions.ts';

export const adamwStepKernels = ({ native }: CpuDoor): BoundKernel[] => {
  const call = native('adamwStep');
  return [
    bindKernel(
      adamwStep,
      (
        { gradient },
        { parameter, m, v },
        { learningRate, beta1, beta2, epsilon, weightDecay, step, gradientScale },
      ) => {
        call(
          gradient,
          parameter,
          m,
          v,
          elementCount(gradient.shape),
          learningRate,
          beta1,
          beta2,
          epsilon,
          weightDecay,
          step,
          gradientScale,
        );
      },
    ),
  ];
};
