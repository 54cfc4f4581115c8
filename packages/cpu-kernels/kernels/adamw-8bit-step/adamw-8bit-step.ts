import { bindKernel, type BoundKernel } from '@qdylora/contract';
import { adamw8bitStep } from '@qdylora/tensor';
import type { CpuDoor } from '../../src/addon/addon-functions.ts';

export const adamw8bitStepKernels = ({ native }: CpuDoor): BoundKernel[] => {
  const call = native('adamw8bitStep');
  return [
    bindKernel(
      adamw8bitStep,
      (
        { gradient, rates, mMap, vMap },
        { parameter, mCodes, mAbsmax, vCodes, vAbsmax },
        { beta1, beta2 },
      ) => {
        const [rows, columns] = gradient.shape;
        call(
          gradient,
          rates,
          mMap,
          vMap,
          parameter,
          mCodes,
          mAbsmax,
          vCodes,
          vAbsmax,
          rows,
          columns,
          beta1,
          beta2,
        );
      },
    ),
  ];
};
