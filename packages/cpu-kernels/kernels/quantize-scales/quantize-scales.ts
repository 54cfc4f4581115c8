import { bindKernel, type BoundKernel } from '@qdylora/contract';
import { levelSearch, quantizeScales, signedDynamicMap } from '@qdylora/quant';
import type { CpuDoor } from '../../src/addon/addon-functions.ts';

export const quantizeScalesKernels = ({ native }: CpuDoor): BoundKernel[] => {
  const call = native('quantizeScales');
  const firstBadBlock = native('quantizeBlockwiseBadBlock');
  const { limits, codes: mapCodes } = levelSearch(signedDynamicMap());
  return [
    bindKernel(quantizeScales, (inputs, outputs, attributes) => {
      const { absmax } = inputs;
      const { codes, nestedAbsmax, offset } = outputs;
      const groups = nestedAbsmax.shape[0];
      call(absmax, limits, mapCodes, codes, nestedAbsmax, offset, absmax.shape[0]);
      // throws NON_FINITE with the index
      if (firstBadBlock(nestedAbsmax, groups) < groups) quantizeScales.reference(inputs, outputs, attributes);
    }),
  ];
};
