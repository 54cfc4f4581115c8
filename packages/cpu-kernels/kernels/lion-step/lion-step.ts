import { bindKernel, elementCount, type BoundKernel } from '@qdylora/contract';
import { lionStep } from '@qdylora/tensor';
import type { CpuDoor } from '../../src/addon-functions.ts';

export const lionStepKernels = ({ native }: CpuDoor): BoundKernel[] => {
  const call = native('lionStep');
  return [
    bindKernel(
      lionStep,
      ({ gradient }, { parameter, m }, { learningRate, beta1, beta2, weightDecay, gradientScale }) => {
        call(
          gradient,
          parameter,
          m,
          elementCount(gradient.shape),
          learningRate,
          beta1,
          beta2,
          weightDecay,
          gradientScale,
        );
      },
    ),
  ];
};
