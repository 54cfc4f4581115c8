import {
  hostData,
  assertShape,
  badArgument,
  defineOp,
  f32Array,
  optional,
  type ArrayView,
  type FloatView,
} from '@qdylora/contract';
import type { DifferentiableOp } from '../../autograd/differentiable-op.ts';

type F32 = ArrayView<'f32'>;
/** Attributes of `layerNorm`: the number that keeps a row of equal entries from a division by 0. */
export interface LayerNormAttributes {
  /** ε, added to the variance; at least 0. */
  readonly epsilon: number;
}

/**
 * y = (x − mean(x)) · r · weight + bias,   r = 1 / √(variance(x) + ε)   (Ba et al. 2016)
 *
 * x: [tokens, hidden]   weight, bias: [hidden]
 * →   y: [tokens, hidden]   mean, inverseDeviation (r): [tokens]
 */
export const layerNorm = defineOp({
  name: 'layer-norm',
  takes: { x: f32Array(2), weight: f32Array(1), bias: optional(f32Array(1)) },
  shapes(i: { x: FloatView; weight: F32; bias?: F32 | undefined }, { epsilon }: LayerNormAttributes) {
    if (!(epsilon >= 0)) throw badArgument('layer-norm', `epsilon must be a number ≥ 0 (got ${epsilon})`);
    assertShape('layer-norm', 'x', i.x.shape, [-1, i.weight.shape[0]]);
    if (i.bias) assertShape('layer-norm', 'bias', i.bias.shape, i.weight.shape);
    const perToken = { dtype: 'f32' as const, shape: [i.x.shape[0]] };
    return { y: { dtype: 'f32', shape: i.x.shape }, mean: perToken, inverseDeviation: perToken };
  },
  reference(
    { x, weight, bias },
    { y, mean, inverseDeviation }: { y: F32; mean: F32; inverseDeviation: F32 },
    { epsilon },
  ) {
    const xData = hostData(x);
    const weightData = hostData(weight);
    const biasData = bias && hostData(bias);
    const yData = hostData(y);
    const meanData = hostData(mean);
    const inverseDeviationData = hostData(inverseDeviation);
    const [tokens, hidden] = x.shape as [number, number];
    for (let t = 0; t < tokens; t++) {
      const row = t * hidden;
      let sum = 0;
      let squares = 0;
      for (let j = 0; j < hidden; j++) sum += xData[row + j];
      const center = sum / hidden;
      for (let j = 0; j < hidden; j++) squares += (xData[row + j] - center) ** 2;
      const inverse = 1 / Math.sqrt(squares / hidden + epsilon);
      meanData[t] = center;
      inverseDeviationData[t] = inverse;
      for (let j = 0; j < hidden; j++)
        yData[row + j] = (xData[row + j] - center) * inverse * weightData[j] + (biasData?.[j] ?? 0);
    }
  },
});

/**
 * With n = (x − mean) · r and g = dy · weight:
 * dx = r · (g − mean(g) − n · mean(g · n)), added to dx if `accumulate`;
 * dWeight += Σ dy · n,   dBias += Σ dy over tokens.
 *
 * dy: [tokens, hidden]   →   dx: [tokens, hidden]   dWeight, dBias: [hidden]
 */
export const layerNormBackward = defineOp({
  name: 'layer-norm-backward',
  takes: {
    x: f32Array(2),
    weight: f32Array(1),
    mean: f32Array(1),
    inverseDeviation: f32Array(1),
    dy: f32Array(2),
  },
  addsWhereAsked: 'dx',
  accumulates: ['dWeight', 'dBias'],
  shapes(
    i: { x: FloatView; weight: F32; mean: F32; inverseDeviation: F32; dy: F32 },
    _: { accumulate: boolean },
  ) {
    assertShape('layer-norm-backward', 'x', i.x.shape, [-1, i.weight.shape[0]]);
    assertShape('layer-norm-backward', 'dy', i.dy.shape, i.x.shape);
    for (const name of ['mean', 'inverseDeviation'] as const)
      assertShape('layer-norm-backward', name, i[name].shape, [i.x.shape[0]]);
    return {
      dx: { dtype: 'f32', shape: i.x.shape },
      dWeight: { dtype: 'f32', shape: i.weight.shape },
      dBias: { dtype: 'f32', shape: i.weight.shape },
    };
  },
  reference(
    { x, weight, mean, inverseDeviation, dy },
    { dx, dWeight, dBias }: { dx: F32; dWeight?: F32; dBias?: F32 },
    { accumulate },
  ) {
    const xData = hostData(x);
    const weightData = hostData(weight);
    const meanData = hostData(mean);
    const inverseDeviationData = hostData(inverseDeviation);
    const dyData = hostData(dy);
    const dxData = hostData(dx);
    const dWeightData = dWeight && hostData(dWeight);
    const dBiasData = dBias && hostData(dBias);
    const [tokens, hidden] = x.shape as [number, number];
    const weightGradient = new Float64Array(hidden);
    const biasGradient = new Float64Array(hidden);
    for (let t = 0; t < tokens; t++) {
      const row = t * hidden;
      const r = inverseDeviationData[t];
      const normalized = (j: number): number => (xData[row + j] - meanData[t]) * r;
      let sum = 0;
      let projection = 0;
      for (let j = 0; j < hidden; j++) {
        const d = dyData[row + j];
        sum += d * weightData[j];
        projection += d * weightData[j] * normalized(j);
        weightGradient[j] += d * normalized(j);
        biasGradient[j] += d;
      }
      for (let j = 0; j < hidden; j++) {
        const gradient =
          r * (dyData[row + j] * weightData[j] - sum / hidden - normalized(j) * (projection / hidden));
        dxData[row + j] = accumulate ? dxData[row + j] + gradient : gradient;
      }
    }
    if (dWeightData) for (let j = 0; j < hidden; j++) dWeightData[j] += weightGradient[j];
    if (dBiasData) for (let j = 0; j < hidden; j++) dBiasData[j] += biasGradient[j];
  },
});

/** `layerNorm` with the gradients of x, weight and bias. */
export const differentiableLayerNorm: DifferentiableOp<typeof layerNorm> = {
  op: layerNorm,
  usesOutputs: ['mean', 'inverseDeviation'],
  backward({ run, inputs: { x, weight }, outputs: { mean, inverseDeviation }, gradients, into, pending }) {
    const dx = pending('x') as F32 | undefined;
    const result = run(
      layerNormBackward,
      { x, weight, mean, inverseDeviation, dy: gradients.y },
      { accumulate: dx !== undefined },
      { dx, dWeight: into('weight'), dBias: into('bias') },
    );
    return { x: result.dx };
  },
};
