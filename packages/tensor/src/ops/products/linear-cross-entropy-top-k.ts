import {
  badArgument,
  defineOp,
  f32Array,
  floatArray,
  hostData,
  i32Array,
  optional,
  type ArrayView,
  type FloatView,
} from '@qdylora/contract';
import type { DifferentiableOp } from '../../autograd/differentiable-op.ts';
import { IGNORED_TARGET, referenceHead, sumOfExponentials } from './head-logits.ts';
import { linearCrossEntropy, lossGradient, type CrossEntropyAttributes } from './linear-cross-entropy.ts';

type F32 = ArrayView<'f32'>;

/** `topK`: number of classes that the call yields of each token, at most the vocabulary. */
export interface TopKAttributes extends CrossEntropyAttributes {
  readonly topK: number;
}

/**
 * `linearCrossEntropy` for a head that is not trained, which also yields what the head predicts: of each
 * counted token the k most likely classes, and the probability of all others together. The targets of
 * `linearDistillation`.
 *
 * log p_t[c] = z_t[c] − logsumexp(z_t), at temperature 1
 *
 * x: [tokens, hidden]   weight: [vocabulary, hidden]   targets: [tokens]   tokenWeights: [tokens]
 * →   loss, tokenLosses, dx: as `linearCrossEntropy`
 *     topIds: [tokens, k], the most likely first; of equal logits the smaller id
 *     topLogProbabilities: [tokens, k]   tailMass: [tokens] = 1 − Σ e^topLogProbabilities
 *     all three 0 where the target is ignored; where a logit is NaN, the order is the backend's
 */
export const linearCrossEntropyTopK = defineOp({
  name: 'linear-cross-entropy-top-k',
  takes: { x: f32Array(2), weight: floatArray(2), targets: i32Array(1), tokenWeights: optional(f32Array(1)) },
  shapes(
    inputs: { x: FloatView; weight: FloatView; targets: ArrayView<'i32'>; tokenWeights?: F32 },
    attributes: TopKAttributes,
  ) {
    const { topK } = attributes;
    const vocabulary = inputs.weight.shape[0];
    if (!(Number.isSafeInteger(topK) && topK >= 1 && topK <= vocabulary))
      throw badArgument(
        'linear-cross-entropy-top-k',
        `topK must be a whole number within 1…${vocabulary} (got ${topK})`,
      );
    const { loss, tokenLosses, dx } = linearCrossEntropy.shapes(inputs, attributes);
    const tokens = inputs.x.shape[0];
    return {
      loss,
      tokenLosses,
      dx,
      topIds: { dtype: 'i32', shape: [tokens, topK] },
      topLogProbabilities: { dtype: 'f32', shape: [tokens, topK] },
      tailMass: { dtype: 'f32', shape: [tokens] },
    };
  },
  flops: (inputs, attributes) => linearCrossEntropy.flops!(inputs, attributes),
  reference(
    inputs,
    outputs: {
      loss: F32;
      tokenLosses: F32;
      dx?: F32;
      topIds: ArrayView<'i32'>;
      topLogProbabilities: F32;
      tailMass: F32;
    },
    attributes,
  ) {
    const { loss, tokenLosses, dx, topIds, topLogProbabilities, tailMass } = outputs;
    linearCrossEntropy.reference(inputs, { loss, tokenLosses, dx }, attributes);
    const { computeDtype, softCap = 0, topK } = attributes;
    const head = referenceHead(inputs, { computeDtype, softCap });
    for (const array of [topIds, topLogProbabilities, tailMass]) hostData(array).fill(0);
    for (const [t, target] of hostData(inputs.targets).entries()) {
      if (target === IGNORED_TARGET) continue;
      const logits = head.logitsOf(t);
      const { largest, sum } = sumOfExponentials(logits);
      const order = Array.from(logits.keys()).sort(byFallingLogit(logits));
      const mass = order.slice(topK).reduce((total, c) => total + Math.exp(logits[c] - largest) / sum, 0);
      hostData(tailMass)[t] = mass;
      for (const [i, c] of order.slice(0, topK).entries()) {
        hostData(topIds)[t * topK + i] = c;
        hostData(topLogProbabilities)[t * topK + i] = logits[c] - largest - Math.log(sum);
      }
    }
  },
});

/** Compares classes: the larger logit first, NaN last, and of equal ones the smaller id first. */
const byFallingLogit =
  (logits: ArrayLike<number>) =>
  (a: number, b: number): number =>
    Number(logits[b] > logits[a]) - Number(logits[a] > logits[b]) ||
    Number(Number.isNaN(logits[a])) - Number(Number.isNaN(logits[b])) ||
    a - b;

/** No gradient flows through the classes. */
export const differentiableLinearCrossEntropyTopK: DifferentiableOp<typeof linearCrossEntropyTopK> = {
  op: linearCrossEntropyTopK,
  usesOutputs: ['dx'],
  backward: lossGradient,
};
