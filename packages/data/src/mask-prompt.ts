import { NOT_COUNTED } from './token-batch.ts';

/** A stretch of a row. */
export interface Piece {
  readonly ids: ArrayLike<number>;
  /** What the model shall learn to say, as against what it is told. */
  readonly isAnswer: boolean;
}

/** Token ids with a label on each: `[length]` both. */
export interface LabelledTokens {
  readonly ids: readonly number[];
  readonly labels: readonly number[];
}

/**
 * Lays pieces end to end and counts the loss on answers only; with `completionOnlyLoss` false on everything.
 *
 * @example
 * maskPrompt([{ ids: [5, 6], isAnswer: false }, { ids: [7], isAnswer: true }]).labels; // [-100, -100, 7]
 */
export function maskPrompt(pieces: readonly Piece[], completionOnlyLoss = true): LabelledTokens {
  const ids: number[] = [];
  const labels: number[] = [];
  for (const piece of pieces) {
    for (let i = 0; i < piece.ids.length; i++) {
      const id = piece.ids[i];
      ids.push(id);
      labels.push(piece.isAnswer || !completionOnlyLoss ? id : NOT_COUNTED);
    }
  }
  return { ids, labels };
}
