import { createRng, QdyloraError, shuffledIndices } from '@qdylora/contract';

/**
 * Sets examples aside for evaluation: `share` of them (a count, or a fraction below 1), those that come last in an order drawn from the seed.
 * Both parts keep the order of the file.
 *
 * @throws QdyloraError BAD_CONFIG for a share that is negative, or leaves nothing to train on.
 */
export function splitHeldOut<T>(examples: readonly T[], share: number, seed: number): { training: T[]; heldOut: T[] } {
  const isFraction = share > 0 && share < 1;
  const count = isFraction ? Math.max(1, Math.round(share * examples.length)) : share;
  if (!Number.isInteger(count) || count < 0 || (count > 0 && count >= examples.length)) {
    throw new QdyloraError('BAD_CONFIG', { where: 'data', problem: `expected a count below ${examples.length} (the examples there are), or a fraction below 1, for held-out rows, got ${share}`, nextStep: 'Lower val_set_size, or name an eval_dataset.' });
  }
  const order = shuffledIndices(examples.length, createRng(seed).named('held-out'));
  const isHeldOut = new Uint8Array(examples.length);
  for (const index of order.subarray(examples.length - count)) isHeldOut[index] = 1;
  return { training: examples.filter((_, i) => !isHeldOut[i]), heldOut: examples.filter((_, i) => isHeldOut[i]) };
}
