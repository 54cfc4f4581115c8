import { bindKernel, type BoundKernel } from '@qdylora/contract';
import { levelsOf, quantizeBlockwise } from '@qdylora/quant';
import type { CpuDoor } from '../../src/addon/addon-functions.ts';

export const quantizeBlockwiseKernels = ({ native }: CpuDoor): BoundKernel[] => {
  const call = native('quantizeBlockwise');
  const firstBadBlock = native('quantizeBlockwiseBadBlock');
  return [
    bindKernel(quantizeBlockwise, (inputs, outputs, attributes) => {
      const { codes, absmax } = outputs;
      const blocks = absmax.shape[0];
      call(
        inputs.values,
        Float32Array.from(levelsOf(attributes.kind)),
        codes,
        absmax,
        inputs.values.shape[0],
        attributes.blockSize,
        attributes.tileColumns ?? 0,
      );
      // throws NON_FINITE with the index
      if (firstBadBlock(absmax, blocks) < blocks) quantizeBlockwise.reference(inputs, outputs, attributes);
    }),
  ];
};
