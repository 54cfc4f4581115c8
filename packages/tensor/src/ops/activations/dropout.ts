import {
  assertShape,
  badArgument,
  defineOp,
  elementCount,
  floatArray,
  hostData,
  i32Array,
  philox2x32,
  type ArrayView,
  type FloatView,
} from '@qdylora/contract';
import type { DifferentiableOp } from '../../autograd/differentiable-op.ts';

/** Attributes of `dropout`: the probability, and the key of the random mask. */
export interface DropoutAttributes {
  /** Probability of dropping an entry, within 0…1. */
  readonly probability: number;
  /** The generator's key for one layer (uint32). */
  readonly key: number;
}

/**
 * y = kept ? x / (1 − probability) : 0. Entry i is kept where the top 24 bits of word i & 1 of
 * philox(⌊i / 2⌋, counter, key) are at least probability · 2²⁴.
 *
 * The mask is the same for the same key and counter, so the op is its own gradient. The counter (the step, as
 * a uint32) is an input, so that a recorded pass can be replayed with the masks of another step.
 *
 * x: any shape, f32, bf16 or f16  counter: [1]  →  y: as x
 */
export const dropout = defineOp({
  name: 'dropout',
  takes: { x: floatArray(null), counter: i32Array(1) },
  halves: ['x', 'y'],
  shapes(i: { x: FloatView; counter: ArrayView<'i32'> }, { probability }: DropoutAttributes) {
    if (!(typeof probability === 'number' && probability >= 0 && probability <= 1))
      throw badArgument('dropout', `probability must be a number within 0…1 (got ${String(probability)})`);
    assertShape('dropout', 'counter', i.counter.shape, [1]);
    return { y: { dtype: i.x.dtype, shape: i.x.shape } };
  },
  reference({ x, counter }, { y }: { y: FloatView }, { probability, key }) {
    const step = hostData(counter)[0] >>> 0;
    const xData = hostData(x);
    const yData = hostData(y);
    const threshold = Math.round(probability * 2 ** 24);
    const factor = 1 / (1 - probability);
    for (let i = 0; i < elementCount(x.shape); i++)
      yData[i] = philox2x32(Math.floor(i / 2), step, key)[i % 2] >>> 8 >= threshold ? xData[i] * factor : 0;
  },
});

/** `dropout` with its gradient: the same mask and factor on dy. */
export const differentiableDropout: DifferentiableOp<typeof dropout> = {
  op: dropout,
  backward: ({ run, inputs: { counter }, gradients, attributes }) => ({
    x: run(dropout, { x: gradients.y, counter }, attributes).y,
  }),
};
