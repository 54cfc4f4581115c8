import { bindKernel, type BoundKernel } from '@qdylora/contract';
import { lion8bitStep } from '@qdylora/tensor';
import type { CpuDoor } from '../../src/addon-functions.ts';

export const lion8bitStepKernels = ({ native }: CpuDoor): BoundKernel[] => {
  const call = native('lion8bitStep');
  return [
    bindKernel(
      lion8bitStep,
      (
        { gradient, mMap },
        { parameter, mCodes, mAbsmax },
        { learningRate, beta1, beta2, weightDecay, gradientScale },
      ) => {
        const [rows, columns] = gradient.shape;
        call(
          gradient,
          mMap,
          parameter,
          mCodes,
          mAbsmax,
          rows,
          columns,
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
