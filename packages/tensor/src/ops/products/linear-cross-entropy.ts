import {
  hostData,
  assertShape,
  badArgument,
  defineOp,
  f32Array,
  floatArray,
  HostStorage,
  i32Array,
  optional,
  type ArrayView,
  type FloatView,
} from '@qdylora/contract';
import type { DifferentiableOp, Run } from '../../autograd/differentiable-op.ts';
import { assertTarget, IGNORED_TARGET, referenceHead, sumOfExponentials } from './head-logits.ts';
import type { ComputeDtype } from './linear.ts';
import { scaleBy } from '../elements/scale-by.ts';

type F32 = ArrayView<'f32'>;

/**
 * A `computeDtype` of two bytes rounds both operands of every product, also the gradient of the logits.
 * `lossScale`: factor on the sum (1 / predicted tokens for a mean). `gradient`: compute dx, and add to
 * dWeight if it is supplied. `softCap`: a logit z becomes c·tanh(z / c) (Gemma 2); 0: no cap.
 */
export interface CrossEntropyAttributes {
  readonly computeDtype: ComputeDtype;
  readonly lossScale: number;
  readonly gradient: boolean;
  readonly softCap?: number;
}

/**
 * Head and loss in one op, so that the logits of all tokens never exist at once:
 *
 * loss = lossScale · Σ_t tokenWeights[t] · (logsumexp(z_t) − z_t[target_t])   with z_t = cap(x_t·Wᵀ)
 *
 * over targets ≠ −100, and in the same pass its gradient.
 *
 * x: [tokens, hidden]   weight: [vocabulary, hidden]   targets: [tokens]   tokenWeights: [tokens]
 * →   loss: [1]   tokenLosses: [tokens], unscaled and unweighted, 0 where ignored
 *     dx: [tokens, hidden]   dWeight: [vocabulary, hidden]
 */
export const linearCrossEntropy = defineOp({
  name: 'linear-cross-entropy',
  takes: { x: f32Array(2), weight: floatArray(2), targets: i32Array(1), tokenWeights: optional(f32Array(1)) },
  accumulates: ['dWeight'],
  shapes(
    i: { x: FloatView; weight: FloatView; targets: ArrayView<'i32'>; tokenWeights?: F32 },
    { gradient, softCap = 0 }: CrossEntropyAttributes,
  ) {
    const tokens = i.x.shape[0];
    assertShape('linear-cross-entropy', 'x', i.x.shape, [-1, i.weight.shape[1]]);
    assertShape('linear-cross-entropy', 'targets', i.targets.shape, [tokens]);
    if (i.tokenWeights) assertShape('linear-cross-entropy', 'tokenWeights', i.tokenWeights.shape, [tokens]);
    if (!(softCap >= 0 && softCap < Infinity))
      throw badArgument('linear-cross-entropy', `softCap must be a finite number ≥ 0 (got ${softCap})`);
    return {
      loss: { dtype: 'f32', shape: [1] },
      tokenLosses: { dtype: 'f32', shape: [tokens] },
      dx: gradient ? { dtype: 'f32', shape: i.x.shape } : undefined,
      dWeight: gradient ? { dtype: 'f32', shape: i.weight.shape } : undefined,
    };
  },
  flops({ x, weight, targets }, { gradient }) {
    if (!(targets.storage instanceof HostStorage)) return undefined;
    let counted = 0;
    for (const target of hostData(targets)) if (target !== IGNORED_TARGET) counted++;
    // the head's own gradient, where it is trained, comes on top
    return 2 * counted * x.shape[1] * weight.shape[0] * (gradient ? 2 : 1);
  },
  reference(
    { x, weight, targets, tokenWeights },
    outputs: { loss: F32; tokenLosses: F32; dx?: F32; dWeight?: F32 },
    { computeDtype, lossScale, softCap = 0 },
  ) {
    const { loss, tokenLosses, dx, dWeight } = outputs;
    const targetsData = hostData(targets);
    const tokenWeightsData = tokenWeights && hostData(tokenWeights);
    const tokenLossesData = hostData(tokenLosses);
    const [tokens] = x.shape as [number];
    const vocabulary = weight.shape[0];
    const head = referenceHead({ x, weight }, { computeDtype, softCap });
    const weightSums = dWeight && Float64Array.from(hostData(dWeight));
    let total = 0;
    for (let t = 0; t < tokens; t++) {
      const target = targetsData[t];
      const factor = lossScale * (tokenWeightsData?.[t] ?? 1);
      tokenLossesData[t] = 0;
      if (dx) hostData(dx).fill(0, t * x.shape[1], (t + 1) * x.shape[1]);
      if (target === IGNORED_TARGET) continue;
      assertTarget('linear-cross-entropy', target, t, vocabulary);
      const logits = head.logitsOf(t);
      const { largest, sum } = sumOfExponentials(logits);
      const tokenLoss = largest + Math.log(sum) - logits[target];
      tokenLossesData[t] = tokenLoss;
      total += tokenLoss * factor;
      if (!dx && !weightSums) continue;
      const gradients = logits.map((z, c) => factor * (Math.exp(z - largest) / sum - (c === target ? 1 : 0)));
      head.addGradients(t, { logits, gradients }, { dx, weightSums });
    }
    if (dWeight && weightSums) hostData(dWeight).set(weightSums);
    hostData(loss)[0] = total;
  },
});

/**
 * The gradient exists already when backward begins; a loss that is the root (gradient 1) hands it on
 * untouched.
 */
export const lossGradient = ({
  run,
  outputs,
  gradients,
  isRoot,
}: {
  readonly run: Run;
  readonly outputs: { readonly dx?: F32 };
  readonly gradients: { readonly loss: F32 };
  readonly isRoot: boolean;
}): { readonly x: F32 | undefined } => ({
  x: isRoot ? outputs.dx : run(scaleBy, { x: outputs.dx!, factor: gradients.loss }, {}).y,
});

/**
 * `linearCrossEntropy` with the gradients of x and weight, which the forward op computes (`gradient: true`).
 */
export const differentiableLinearCrossEntropy: DifferentiableOp<typeof linearCrossEntropy> = {
  op: linearCrossEntropy,
  usesOutputs: ['dx'],
  gradientInForward: { weight: 'dWeight' },
  backward: lossGradient,
};
