import { i32View } from '@qdylora/contract';
import { randomF32, seededNumbers } from '@qdylora/testing';
import {
  apply,
  constant,
  differentiableLinearCrossEntropy,
  type FloatTensor,
  type Recorder,
} from '../src/index.ts';

/**
 * A scalar that depends on each entry of y with a different weight: the mean cross-entropy of fixed targets
 * under a fixed head. y: [tokens, width], or already a loss [1]
 */
export function scalarOf(recorder: Recorder, y: FloatTensor): FloatTensor {
  if (y.view.shape.length === 1) return y; // a loss already
  const [tokens, width] = y.view.shape as [number, number];
  const next = seededNumbers(99);
  const head = constant(randomF32([5, width], next));
  const targets = constant(
    i32View(
      [tokens],
      Array.from({ length: tokens }, (_, t) => t % 5),
    ),
  );
  return apply(
    recorder,
    differentiableLinearCrossEntropy,
    { x: y, weight: head, targets, tokenWeights: undefined },
    { computeDtype: 'f32', lossScale: 1 / Math.max(1, tokens), gradient: recorder.tape !== null },
  ).loss;
}
