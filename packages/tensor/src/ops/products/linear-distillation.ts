import {
  assertShape,
  badArgument,
  defineOp,
  f32Array,
  floatArray,
  hostData,
  i32Array,
  optional,
  QdyloraError,
  type ArrayView,
  type FloatView,
} from '@qdylora/contract';
import type { DifferentiableOp } from '../../autograd/differentiable-op.ts';
import { assertTarget, IGNORED_TARGET, referenceHead, sumOfExponentials } from './head-logits.ts';
import { linearCrossEntropy, lossGradient, type CrossEntropyAttributes } from './linear-cross-entropy.ts';

type F32 = ArrayView<'f32'>;

/** `distillation`: the share λ of the divergence in the loss, within 0…1. */
export interface DistillationAttributes extends CrossEntropyAttributes {
  readonly distillation: number;
}

interface Inputs {
  readonly [name: string]: ArrayView | undefined;
  readonly x: FloatView;
  readonly weight: FloatView;
  readonly targets: ArrayView<'i32'>;
  readonly tokenWeights?: F32;
  readonly topIds: ArrayView<'i32'>;
  readonly topLogProbabilities: F32;
  readonly tailMass: F32;
}

/**
 * Head and loss in one op for a head that is not trained and that learns from the targets and from another
 * head's predictions p (`linearCrossEntropyTopK`), at temperature 1:
 *
 * loss = lossScale · Σ_t tokenWeights[t] · ((1 − λ) · −log q_t[target_t] + λ · KL(p_t ‖ q_t))
 *
 * with q_t = softmax(cap(x_t·Wᵀ)). The divergence is over k + 1 classes: the k of p, and the tail, which is
 * the class of all others: KL = Σ_i p_i·log(p_i / q_i) + p_tail·log(p_tail / q_tail). No gradient flows to p.
 *
 * x: [tokens, hidden]   weight: [vocabulary, hidden]   targets: [tokens]   tokenWeights: [tokens]
 * topIds: [tokens, k], different in each row   topLogProbabilities: [tokens, k]   tailMass: [tokens]
 * →   loss: [1]   tokenLosses: [tokens], unscaled and unweighted, 0 where ignored   dx: [tokens, hidden]
 */
export const linearDistillation = defineOp({
  name: 'linear-distillation',
  takes: {
    x: f32Array(2),
    weight: floatArray(2),
    targets: i32Array(1),
    tokenWeights: optional(f32Array(1)),
    topIds: i32Array(2),
    topLogProbabilities: f32Array(2),
    tailMass: f32Array(1),
  },
  shapes(inputs: Inputs, attributes: DistillationAttributes) {
    const { distillation } = attributes;
    const tokens = inputs.x.shape[0];
    const vocabulary = inputs.weight.shape[0];
    const k = inputs.topIds.shape[1];
    assertShape('linear-distillation', 'topIds', inputs.topIds.shape, [tokens, k]);
    assertShape('linear-distillation', 'topLogProbabilities', inputs.topLogProbabilities.shape, [tokens, k]);
    assertShape('linear-distillation', 'tailMass', inputs.tailMass.shape, [tokens]);
    if (!(k >= 1 && k <= vocabulary))
      throw badArgument(
        'linear-distillation',
        `topIds must have 1…${vocabulary} columns, as there are classes (got ${k})`,
      );
    if (!(distillation >= 0 && distillation <= 1))
      throw badArgument(
        'linear-distillation',
        `distillation must be a number within 0…1 (got ${distillation})`,
      );
    const { loss, tokenLosses, dx } = linearCrossEntropy.shapes(inputs, attributes);
    return { loss, tokenLosses, dx };
  },
  flops: (inputs, attributes) => linearCrossEntropy.flops!(inputs, attributes),
  reference(
    { x, weight, targets, tokenWeights, topIds, topLogProbabilities, tailMass },
    { loss, tokenLosses, dx }: { loss: F32; tokenLosses: F32; dx?: F32 },
    { computeDtype, lossScale, softCap = 0, distillation },
  ) {
    const [tokens, hidden] = x.shape as [number, number];
    const vocabulary = weight.shape[0];
    const k = topIds.shape[1];
    const head = referenceHead({ x, weight }, { computeDtype, softCap });
    let total = 0;
    for (let t = 0; t < tokens; t++) {
      const target = hostData(targets)[t];
      const factor = lossScale * (tokenWeights ? hostData(tokenWeights)[t] : 1);
      hostData(tokenLosses)[t] = 0;
      if (dx) hostData(dx).fill(0, t * hidden, (t + 1) * hidden);
      if (target === IGNORED_TARGET) continue;
      assertTarget('linear-distillation', target, t, vocabulary);
      const ids = hostData(topIds).subarray(t * k, (t + 1) * k);
      assertIds(ids, t, vocabulary);
      const logits = head.logitsOf(t);
      const { largest, sum } = sumOfExponentials(logits);
      const logSum = largest + Math.log(sum);
      const q = logits.map((z) => Math.exp(z - largest) / sum);
      // p of each class by its id; the tail's classes share p_tail in proportion to q, also where q is 0
      const logP = hostData(topLogProbabilities).subarray(t * k, (t + 1) * k);
      const pTail = k < vocabulary ? hostData(tailMass)[t] : 0;
      const isTop = new Set(ids);
      const tail = sumOfExponentials(logits.filter((_, c) => !isTop.has(c)));
      const logTail = tail.largest + Math.log(tail.sum);
      const p = logits.map((z, c) => (pTail > 0 && !isTop.has(c) ? pTail * Math.exp(z - logTail) : 0));
      for (const [i, id] of ids.entries()) p[id] = Math.exp(logP[i]);
      const divergence = ids.reduce(
        (partial, id, i) => partial + (p[id] > 0 ? p[id] * (logP[i] - (logits[id] - logSum)) : 0),
        pTail > 0 ? pTail * (Math.log(pTail) - (logTail - logSum)) : 0,
      );
      const crossEntropy = logSum - logits[target];
      const tokenLoss = (1 - distillation) * crossEntropy + distillation * divergence;
      hostData(tokenLosses)[t] = tokenLoss;
      total += tokenLoss * factor;
      if (!dx) continue;
      const gradients = q.map(
        (qOf, c) => factor * (qOf - distillation * p[c] - (c === target ? 1 - distillation : 0)),
      );
      head.addGradients(t, { logits, gradients }, { dx });
    }
    hostData(loss)[0] = total;
  },
});

function assertIds(ids: Int32Array, position: number, vocabulary: number): void {
  const id = ids.find((each) => each < 0 || each >= vocabulary);
  if (id === undefined) return;
  throw new QdyloraError('BAD_DATA', {
    where: 'linear-distillation',
    problem: `ids of soft targets must be within 0…${vocabulary - 1} (got ${id} at position ${position})`,
    details: { position, id, vocabulary },
  });
}

/** `linearDistillation` with the gradient of x, which the forward op computes (`gradient: true`). */
export const differentiableLinearDistillation: DifferentiableOp<typeof linearDistillation> = {
  op: linearDistillation,
  usesOutputs: ['dx'],
  backward: lossGradient,
};
