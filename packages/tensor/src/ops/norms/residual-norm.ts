import {
  hostData,
  assertShape,
  badArgument,
  defineOp,
  elementCount,
  f32Array,
  type ArrayView,
  type FloatView,
} from '@qdylora/contract';
import type { DifferentiableOp } from '../../autograd/differentiable-op.ts';
import { addInto } from '../elements/add.ts';
import { rmsNorm, rmsNormBackward, type RmsNormAttributes } from './rms-norm.ts';

type F32 = ArrayView<'f32'>;

/**
 * sum = a + b,   y = rms-norm(sum), in one pass over memory, with the same bits as `add` and `rms-norm`.
 *
 * a, b: [tokens, hidden]   weight: [hidden]
 * →   sum, y: [tokens, hidden]   inverseRms: [tokens]; sum may be the array of a or b
 */
export const residualNorm = defineOp({
  name: 'residual-norm',
  takes: { a: f32Array(2), b: f32Array(2), weight: f32Array(1) },
  halves: ['y'],
  overwrites: { sum: ['a', 'b'] },
  shapes(i: { a: FloatView; b: FloatView; weight: F32 }, { outDtype = 'f32', epsilon }: RmsNormAttributes) {
    if (!(epsilon >= 0)) throw badArgument('residual-norm', `epsilon must be a number ≥ 0 (got ${epsilon})`);
    assertShape('residual-norm', 'a', i.a.shape, [-1, i.weight.shape[0]]);
    assertShape('residual-norm', 'b', i.b.shape, i.a.shape);
    return {
      sum: { dtype: 'f32', shape: i.a.shape },
      y: { dtype: outDtype, shape: i.a.shape },
      inverseRms: { dtype: 'f32', shape: [i.a.shape[0]] },
    };
  },
  reference(
    { a, b, weight },
    { sum, y, inverseRms }: { sum: F32; y: FloatView; inverseRms: F32 },
    attributes,
  ) {
    const aData = hostData(a);
    const bData = hostData(b);
    const sumData = hostData(sum);
    for (let i = 0; i < elementCount(sum.shape); i++) sumData[i] = aData[i] + bData[i];
    rmsNorm.reference({ x: sum, weight }, { y, inverseRms }, attributes);
  },
});

/** The gradients of a and b are the gradient of the sum: that of its later uses, plus that of the norm. */
export const differentiableResidualNorm: DifferentiableOp<typeof residualNorm> = {
  op: residualNorm,
  usesOutputs: ['sum', 'inverseRms'],
  backward({ run, inputs: { weight }, outputs: { sum, inverseRms }, gradients, attributes, into, spare }) {
    const later = gradients.sum as F32 | undefined;
    const dy = gradients.y as FloatView | undefined;
    const spareSum = spare('sum');
    if (!dy) return { a: later, b: later };
    const { dx } = run(
      rmsNormBackward,
      { x: sum, weight, inverseRms, dy },
      { accumulate: spareSum !== undefined, ...attributes },
      { dx: spareSum, dWeight: into('weight') },
    );
    if (later && !spareSum) run(addInto, { x: later }, {}, { sum: dx });
    return { a: dx, b: dx };
  },
};
