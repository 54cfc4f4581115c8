import {
  hostData,
  assertShape,
  badArgument,
  defineOp,
  f32Array,
  floatArray,
  i32Array,
  type ArrayView,
  type FloatView,
} from '@qdylora/contract';
import type { DifferentiableOp } from '../../autograd/differentiable-op.ts';

type F32 = ArrayView<'f32'>;

/**
 * cos and sin of position · inverseFrequency, times `scale` (the attention factor of YaRN): computed once per
 * batch, for all layers.
 *
 * positions: [tokens]   inverseFrequencies: [pairs]   →   cos, sin: [tokens, pairs]
 */
export const ropeTable = defineOp({
  name: 'rope-table',
  takes: { positions: i32Array(1), inverseFrequencies: f32Array(1) },
  shapes(i: { positions: ArrayView<'i32'>; inverseFrequencies: F32 }, _: { scale: number }) {
    const shape = [i.positions.shape[0], i.inverseFrequencies.shape[0]];
    return { cos: { dtype: 'f32', shape }, sin: { dtype: 'f32', shape } };
  },
  reference({ positions, inverseFrequencies }, { cos, sin }: { cos: F32; sin: F32 }, { scale }) {
    const positionsData = hostData(positions);
    const inverseFrequenciesData = hostData(inverseFrequencies);
    const cosData = hostData(cos);
    const sinData = hostData(sin);
    const pairs = inverseFrequencies.shape[0];
    for (let t = 0; t < positions.shape[0]; t++) {
      for (let p = 0; p < pairs; p++) {
        const angle = positionsData[t] * inverseFrequenciesData[p];
        cosData[t * pairs + p] = Math.cos(angle) * scale;
        sinData[t * pairs + p] = Math.sin(angle) * scale;
      }
    }
  },
});

/**
 * `headDim`: width of a head. Its first 2·pairs entries are rotated, the others are copied. `inverse`:
 * rotates back (the gradient).
 */
export interface RopeAttributes {
  readonly headDim: number;
  readonly inverse: boolean;
}

/**
 * Rotary position embedding in the halves convention (Su et al. 2021): in every head, entries p and p + pairs
 * are rotated by the angle of (token, p).
 *
 * x: [tokens, heads · headDim], f32, bf16 or f16   cos, sin: [tokens, pairs]
 * →   y: as x; may be the array of x
 */
export const rope = defineOp({
  name: 'rope',
  takes: { x: floatArray(2), cos: f32Array(2), sin: f32Array(2) },
  halves: ['x', 'y'],
  overwrites: { y: ['x'] },
  shapes(i: { x: FloatView; cos: F32; sin: F32 }, { headDim }: RopeAttributes) {
    if (!(
      Number.isInteger(headDim) &&
      headDim >= 1 &&
      i.x.shape[1] % headDim === 0 &&
      2 * i.cos.shape[1] <= headDim
    ))
      throw badArgument(
        'rope',
        `headDim must divide the ${i.x.shape[1]} columns of x and hold the ${i.cos.shape[1]} rotated pairs ` +
          `(got ${headDim})`,
      );
    assertShape('rope', 'cos', i.cos.shape, [i.x.shape[0], -1]);
    assertShape('rope', 'sin', i.sin.shape, i.cos.shape);
    return { y: { dtype: i.x.dtype, shape: i.x.shape } };
  },
  reference({ x, cos, sin }, { y }: { y: FloatView }, { headDim, inverse }) {
    const xData = hostData(x);
    const cosData = hostData(cos);
    const sinData = hostData(sin);
    const yData = hostData(y);
    const [tokens, width] = x.shape as [number, number];
    const pairs = cos.shape[1];
    const sign = inverse ? -1 : 1;
    for (let t = 0; t < tokens; t++) {
      for (let head = t * width; head < (t + 1) * width; head += headDim) {
        for (let p = 0; p < pairs; p++) {
          const c = cosData[t * pairs + p];
          const s = sign * sinData[t * pairs + p];
          const a = xData[head + p];
          const b = xData[head + p + pairs];
          yData[head + p] = a * c - b * s;
          yData[head + p + pairs] = b * c + a * s;
        }
        for (let j = 2 * pairs; j < headDim; j++) yData[head + j] = xData[head + j];
      }
    }
  },
});

/** `rope` with its gradient: the rotation by the negative angle. */
export const differentiableRope: DifferentiableOp<typeof rope> = {
  op: rope,
  backward: ({ run, inputs, gradients, attributes, spare }) => ({
    x: run(
      rope,
      { x: gradients.y, cos: inputs.cos, sin: inputs.sin },
      { ...attributes, inverse: !attributes.inverse },
      { y: spare('y') },
    ).y,
  }),
};
