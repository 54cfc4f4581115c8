import type { Warn } from './attach-adapter.ts';
import type { RunData } from './load-data.ts';

/** Rotary angles go on past the positions that a model was trained with, and the model makes little of them there. Rows that nobody has measured may be as long as they are cut to. */
export function warnOfPositions(maxPositions: number, { training, heldOut }: Pick<RunData, 'training' | 'heldOut'>, maxSeqLength: number, warn: Warn): void {
  if (maxSeqLength <= maxPositions) return;
  const { length, lengthAt } = training;
  let longest = lengthAt ? heldOut.reduce((most, { ids }) => Math.max(most, ids.length), 0) : maxSeqLength;
  if (lengthAt) for (let i = 0; i < length; i++) longest = Math.max(longest, lengthAt(i));
  if (longest > maxPositions) warn(`${lengthAt ? 'Rows have' : 'Rows may have'} up to ${longest} tokens, and the model was trained with ${maxPositions} positions (max_position_embeddings): lower max_seq_length, unless it is meant to learn longer ones.`);
}
