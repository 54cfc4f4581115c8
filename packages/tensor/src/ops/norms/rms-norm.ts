import {
  hostData,
  assertShape,
  badArgument,
  defineOp,
  f32Array,
  floatArray,
  type ArrayView,
  type FloatDType,
  type FloatView,
} from '@qdylora/contract';
import type { DifferentiableOp } from '../../autograd/differentiable-op.ts';

type F32 = ArrayView<'f32'>;
/**
 * `weightOffset`: 0, or 1 where a checkpoint stores the weight minus one (Gemma). `outDtype`: of y, default
 * f32.
 */
export interface RmsNormAttributes {
  readonly epsilon: number;
  readonly weightOffset: number;
  readonly outDtype?: FloatDType;
}

/**
 * y = x / √(mean(x²) + ε) · (weight + offset) for every run of `hidden` entries: a whole row, or each head of
 * a row (norms of q and k). (Zhang & Sennrich 2019)
 *
 * x: [tokens, runs · hidden]   weight: [hidden]   →   y: as x   inverseRms: [tokens · runs]
 */
export const rmsNorm = defineOp({
  name: 'rms-norm',
  takes: { x: f32Array(2), weight: f32Array(1) },
  halves: ['y'],
  shapes(i: { x: FloatView; weight: F32 }, { outDtype = 'f32', epsilon }: RmsNormAttributes) {
    const runs = runsOf('rms-norm', i);
    if (!(epsilon >= 0)) throw badArgument('rms-norm', `epsilon must be a number ≥ 0 (got ${epsilon})`);
    return { y: { dtype: outDtype, shape: i.x.shape }, inverseRms: { dtype: 'f32', shape: [runs] } };
  },
  reference({ x, weight }, { y, inverseRms }: { y: FloatView; inverseRms: F32 }, { epsilon, weightOffset }) {
    const xData = hostData(x);
    const weightData = hostData(weight);
    const yData = hostData(y);
    const inverseRmsData = hostData(inverseRms);
    const hidden = weight.shape[0];
    const rows = inverseRms.shape[0];
    for (let t = 0; t < rows; t++) {
      let squares = 0;
      for (let j = 0; j < hidden; j++) squares += xData[t * hidden + j] ** 2;
      const inverse = 1 / Math.sqrt(squares / hidden + epsilon);
      inverseRmsData[t] = inverse;
      for (let j = 0; j < hidden; j++)
        yData[t * hidden + j] = xData[t * hidden + j] * inverse * (weightData[j] + weightOffset);
    }
  },
});

/** The number of runs in x.  @throws QdyloraError BAD_SHAPE if a row is no whole number of runs */
function runsOf(where: string, { x, weight }: { readonly x: FloatView; readonly weight: F32 }): number {
  const [tokens, width] = x.shape as [number, number];
  const hidden = weight.shape[0];
  const runs = Math.max(1, Math.floor(width / hidden));
  assertShape(where, 'x', x.shape, [-1, runs * hidden]);
  return tokens * runs;
}

/**
 * With r = inverseRms, w = weight + offset, c = Σ dy·w·x / hidden:
 * dx = r·w·dy − r³·c·x, added to dx if `accumulate`;   dWeight += Σ dy·x·r over all runs.
 *
 * dy: [tokens, runs · hidden], f32, bf16 or f16   →   dx: f32, as dy   dWeight: [hidden]
 */
export const rmsNormBackward = defineOp({
  name: 'rms-norm-backward',
  takes: { x: f32Array(2), weight: f32Array(1), inverseRms: f32Array(1), dy: floatArray(2) },
  addsWhereAsked: 'dx',
  accumulates: ['dWeight'],
  halves: ['dy'],
  shapes(
    i: { x: FloatView; weight: F32; inverseRms: F32; dy: FloatView },
    _: RmsNormAttributes & { accumulate: boolean },
  ) {
    assertShape('rms-norm-backward', 'inverseRms', i.inverseRms.shape, [runsOf('rms-norm-backward', i)]);
    assertShape('rms-norm-backward', 'dy', i.dy.shape, i.x.shape);
    return { dx: { dtype: 'f32', shape: i.x.shape }, dWeight: { dtype: 'f32', shape: i.weight.shape } };
  },
  reference(
    { x, weight, inverseRms, dy },
    { dx, dWeight }: { dx: F32; dWeight?: F32 },
    { weightOffset, accumulate },
  ) {
    const xData = hostData(x);
    const weightData = hostData(weight);
    const inverseRmsData = hostData(inverseRms);
    const dyData = hostData(dy);
    const dxData = hostData(dx);
    const dWeightData = dWeight && hostData(dWeight);
    const hidden = weight.shape[0];
    const rows = inverseRms.shape[0];
    const weightGradient = new Float64Array(hidden);
    for (let t = 0; t < rows; t++) {
      const r = inverseRmsData[t];
      const row = t * hidden;
      let projection = 0;
      for (let j = 0; j < hidden; j++) {
        projection += dyData[row + j] * (weightData[j] + weightOffset) * xData[row + j];
        weightGradient[j] += dyData[row + j] * xData[row + j] * r;
      }
      for (let j = 0; j < hidden; j++) {
        const gradient =
          r * (weightData[j] + weightOffset) * dyData[row + j] -
          ((r ** 3 * projection) / hidden) * xData[row + j];
        dxData[row + j] = accumulate ? dxData[row + j] + gradient : gradient;
      }
    }
    if (dWeightData) for (let j = 0; j < hidden; j++) dWeightData[j] += weightGradient[j];
  },
});

/** `rmsNorm` with the gradients of x and weight. */
export const differentiableRmsNorm: DifferentiableOp<typeof rmsNorm> = {
  op: rmsNorm,
  usesOutputs: ['inverseRms'],
  backward({ run, inputs, outputs, gradients, attributes, into, pending }) {
    const dx = pending('x') as F32 | undefined; // as x, which is float32
    return {
      x: run(
        rmsNormBackward,
        { inverseRms: outputs.inverseRms, dy: gradients.y, ...inputs },
        { accumulate: dx !== undefined, ...attributes },
        { dx, dWeight: into('weight') },
      ).dx,
    };
  },
};
