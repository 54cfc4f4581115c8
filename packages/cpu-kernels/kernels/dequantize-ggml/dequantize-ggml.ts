import { bindKernel, type BoundKernel } from '@qdylora/contract';
import { dequantizeGgml, GGML_BLOCKS } from '@qdylora/quant';
import type { CpuDoor } from '../../src/addon/addon-functions.ts';

export const dequantizeGgmlKernels = ({ native }: CpuDoor): BoundKernel[] => {
  const call = native('dequantizeGgml');
  return [
    bindKernel(dequantizeGgml, ({ blocks }, { values }, { type }) => {
      const { id, bytes } = GGML_BLOCKS.get(type)!;
      call(blocks, values, id, blocks.shape[0] / bytes);
    }),
  ];
};
