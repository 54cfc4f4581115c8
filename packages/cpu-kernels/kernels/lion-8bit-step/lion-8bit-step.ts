import { bindKernel, type BoundKernel } from '@qdylora/contract';
import { lion8bitStep } from '@qdylora/tensor';
import type { CpuDoor } from '../../src/addon/addon-functions.ts';

export const lion8bitStepKernels = ({ native }: CpuDoor): BoundKernel[] => {
  const call = native('lion8bitStep');
  return [
    bindKernel(
      lion8bitStep,
      ({ gradient, rates, mMap }, { parameter, mCodes, mAbsmax }, { beta1, beta2 }) => {
        const [rows, columns] = gradient.shape;
        call(gradient, rates, mMap, parameter, mCodes, mAbsmax, rows, columns, beta1, beta2);
      },
    ),
  ];
};
