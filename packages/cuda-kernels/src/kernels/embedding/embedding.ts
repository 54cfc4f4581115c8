import { bindKernel, type BoundKernel } from '@qdylora/contract';
import { embedding, embeddingBackward } from '@qdylora/tensor';
import { dtypeSuffix } from '../../launch/dtype-suffix.ts';
import { i32, input, output, type CudaDoor } from '../../launch/launch.ts';
import { rowThreads } from '../../launch/row-threads.ts';

/** Columns of a block of the backward: many small blocks, since each is a chain over the tokens. */
const BACKWARD_THREADS = 32;

export const embeddingKernels = ({ launch }: CudaDoor): BoundKernel[] => [
  bindKernel(embedding, ({ weight, ids }, { y }) => {
    const [rows, hidden] = weight.shape as [number, number];
    launch({
      module: 'embedding',
      kernel: `embedding${dtypeSuffix(weight)}`,
      blocks: ids.shape[0],
      threads: rowThreads(hidden),
      arguments: [input(weight), input(ids), output(y), i32(rows), i32(hidden)],
    });
  }),
  bindKernel(embeddingBackward, ({ ids, dy }, { dWeight }, { rows }) => {
    if (!dWeight) return;
    const [tokens, hidden] = dy.shape as [number, number];
    launch({
      module: 'embedding',
      kernel: 'embeddingBackward',
      blocks: tokens === 0 ? 0 : Math.ceil(hidden / BACKWARD_THREADS),
      threads: BACKWARD_THREADS,
      arguments: [input(ids), input(dy), output(dWeight), i32(tokens), i32(rows), i32(hidden)],
    });
  }),
];
