import { bindKernel, type BoundKernel } from '@qdylora/contract';
import { adamw8bitStep } from '@qdylora/tensor';
import type { CpuDoor } from '../../src/addon-functions.ts';

export const adamw8bitStepKernels = ({ native }: CpuDoor): BoundKernel[] => {
  const call = native('adamw8bitStep');
  return [
    bindKernel(
      adamw8bitStep,
      (
        { gradient, mMap, vMap },
        { parameter, mCodes, mAbsmax, vCodes, vAbsmax },
        { learningRate, beta1, beta2, epsilon, weightDecay, step, gradientScale },
      ) => {
        const [rows, columns] = gradient.shape;
        call(
          gradient,
          mMap,
          vMap,
          parameter,
          mCodes,
          mAbsmax,
          vCodes,
          vAbsmax,
          rows,
          columns,
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
