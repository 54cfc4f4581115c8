import { NOT_COUNTED } from '../token-batch.ts';

/** A piece of a row. */
export interface Piece {
  readonly ids: ArrayLike<number>;
  /** True for text that the model learns to write; false for its prompt. */
  readonly isAnswer: boolean;
}

/** Token ids and their labels, both `[length]`. */
export interface LabelledTokens {
  readonly ids: readonly number[];
  readonly labels: readonly number[];
}

/**
 * Concatenates pieces, with loss on answers only, or on everything if `completionOnlyLoss` is false.
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
