import { bindKernel, type BoundKernel } from '@qdylora/contract';
import { assertIdsWithin, embedding, embeddingBackward } from '@qdylora/tensor';
import type { CpuDoor } from '../../src/addon/addon-functions.ts';

export const embeddingKernels = ({ native }: CpuDoor): BoundKernel[] => {
  const forward = native('embedding');
  const backward = native('embeddingBackward');
  return [
    bindKernel(embedding, ({ weight, ids }, { y }) => {
      assertIdsWithin(ids, weight.shape[0]);
      forward(weight, ids, y, weight.shape[0], ids.shape[0], weight.shape[1]);
    }),
    bindKernel(embeddingBackward, ({ ids, dy }, { dWeight }, { rows }) => {
      assertIdsWithin(ids, rows);
      if (dWeight) backward(ids, dy, dWeight, rows, ids.shape[0], dy.shape[1]);
    }),
  ];
};
