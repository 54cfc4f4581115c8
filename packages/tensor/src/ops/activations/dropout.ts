import { hostData, defineOp, elementCount, floatArray, philox2x32, type FloatView } from '@qdylora/contract';
import type { DifferentiableOp } from '../../autograd/differentiable-op.ts';

/**
 * `key` and `counter` (uint32): the generator's key for this layer, and the step. Entry i is kept where the
 * top 24 bits of word i & 1 of philox(⌊i / 2⌋, counter, key) are ≥ probability · 2²⁴.
 */
export interface DropoutAttributes {
  readonly probability: number;
  readonly key: number;
  readonly counter: number;
}

/**
 * y = kept ? x / (1 − probability) : 0, the same mask for the same key and counter, so its gradient is the op
 * itself. x: any shape, f32 or bf16 → y: as x
 */
export const dropout = defineOp({
  name: 'dropout',
  takes: { x: floatArray(null) },
  halves: ['x', 'y'],
  shapes: (i: { x: FloatView }, _: DropoutAttributes) => ({ y: { dtype: i.x.dtype, shape: i.x.shape } }),
  reference({ x }, { y }: { y: FloatView }, { probability, key, counter }) {
    const xData = hostData(x);
    const yData = hostData(y);
    const threshold = Math.round(probability * 2 ** 24);
    const factor = 1 / (1 - probability);
    for (let i = 0; i < elementCount(x.shape); i++)
      yData[i] =
        philox2x32(Math.floor(i / 2), counter, key)[i % 2] >>> 8 >= threshold ? xData[i] * factor : 0;
  },
});

export const differentiableDropout: DifferentiableOp<typeof dropout> = {
  op: dropout,
  backward: ({ run, gradients, attributes }) => ({ x: run(dropout, { x: gradients.y }, attributes).y }),
};
