import { assertDtype, assertShape, defineOp, type ArrayView, type FloatDType, type FloatView } from '@qdylora/contract';
import type { DifferentiableOp } from '../autograd/differentiable-op.ts';

type F32 = ArrayView<'f32'>;
/** `weightOffset`: 0, or 1 where a checkpoint stores the weight minus one (Gemma). `outDtype`: of y, f32 where left out. */
export interface RmsNormAttributes { readonly epsilon: number; readonly weightOffset: number; readonly outDtype?: FloatDType }

/**
 * y = x / √(mean(x²) + ε) · (weight + offset) for every run of `hidden` entries: a row, or each head of it (the norms of q and k).
 * x: [tokens, runs · hidden]  weight: [hidden]  →  y: as x  inverseRms: [tokens · runs]  (Zhang & Sennrich 2019)
 */
export const rmsNorm = defineOp({
  name: 'rms-norm',
  halves: ['y'],
  shapes(i: { x: FloatView; weight: F32 }, { outDtype = 'f32' }: RmsNormAttributes) {
    assertDtype('rms-norm', 'x', i.x, 'f32');
    const runs = i.x.shape[1]! / i.weight.shape[0]!;
    assertShape('rms-norm', 'x', i.x.shape, [-1, Math.max(1, Math.floor(runs)) * i.weight.shape[0]!]);
    return { y: { dtype: outDtype, shape: i.x.shape }, inverseRms: { dtype: 'f32', shape: [i.x.shape[0]! * runs] } };
  },
  reference({ x, weight }, { y, inverseRms }: { y: FloatView; inverseRms: F32 }, { epsilon, weightOffset }) {
    const hidden = weight.shape[0]!, rows = inverseRms.shape[0]!;
    for (let t = 0; t < rows; t++) {
      let squares = 0;
      for (let j = 0; j < hidden; j++) squares += x.data[t * hidden + j]! ** 2;
      const inverse = 1 / Math.sqrt(squares / hidden + epsilon);
      inverseRms.data[t] = inverse;
      for (let j = 0; j < hidden; j++) y.data[t * hidden + j] = x.data[t * hidden + j]! * inverse * (weight.data[j]! + weightOffset);
    }
  },
});

/**
 * With r = inverseRms, w = weight + offset, c = Σ dy·w·x / hidden:  dx = r·w·dy − r³·c·x (added where `accumulate`);  dWeight += Σ dy·x·r over all runs.
 * dy: [tokens, runs · hidden], f32 or bf16  →  dx: f32, as dy  dWeight: [hidden]
 */
export const rmsNormBackward = defineOp({
  name: 'rms-norm-backward',
  accumulates: ['dWeight'],
  halves: ['dy'],
  shapes(i: { x: FloatView; weight: F32; inverseRms: F32; dy: FloatView }, _: RmsNormAttributes & { accumulate: boolean }) {
    assertShape('rms-norm-backward', 'dy', i.dy.shape, i.x.shape);
    return { dx: { dtype: 'f32', shape: i.x.shape }, dWeight: { dtype: 'f32', shape: i.weight.shape } };
  },
  reference({ x, weight, inverseRms, dy }, { dx, dWeight }: { dx: F32; dWeight?: F32 }, { weightOffset, accumulate }) {
    const hidden = weight.shape[0]!, rows = inverseRms.shape[0]!;
    const weightGradient = new Float64Array(hidden);
    for (let t = 0; t < rows; t++) {
      const r = inverseRms.data[t]!, row = t * hidden;
      let projection = 0;
      for (let j = 0; j < hidden; j++) {
        projection += dy.data[row + j]! * (weight.data[j]! + weightOffset) * x.data[row + j]!;
        weightGradient[j]! += dy.data[row + j]! * x.data[row + j]! * r;
      }
      for (let j = 0; j < hidden; j++) {
        const gradient = r * (weight.data[j]! + weightOffset) * dy.data[row + j]! - (r ** 3 * projection / hidden) * x.data[row + j]!;
        dx.data[row + j] = accumulate ? dx.data[row + j]! + gradient : gradient;
      }
    }
    if (dWeight) for (let j = 0; j < hidden; j++) dWeight.data[j]! += weightGradient[j]!;
  },
});

export const differentiableRmsNorm: DifferentiableOp<typeof rmsNorm> = {
  op: rmsNorm,
  usesOutputs: ['inverseRms'],
  backward({ run, inputs, outputs, gradients, attributes, into, pending }) {
    const dx = pending('x') as F32 | undefined; // as x, which is float32
    return { x: run(rmsNormBackward, { inverseRms: outputs.inverseRms, dy: gradients.y, ...inputs }, { accumulate: dx !== undefined, ...attributes }, { dx, dWeight: into('weight') }).dx };
  },
};
