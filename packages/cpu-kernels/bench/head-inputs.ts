import { i32View, type ArrayView } from '@qdylora/contract';
import { IGNORED_TARGET } from '@qdylora/tensor';
import { normalView } from '@qdylora/testing';

/** The head of SmolLM2-135M. */
export const HEAD = { hidden: 576, vocabulary: 49_152 } as const;

export const headWeight = (): ArrayView<'f32'> => normalView(1, 'w', [HEAD.vocabulary, HEAD.hidden], 0.02);

/** Hidden states and targets of a call; the first `ignored` share of the tokens has no target. */
export const headInputs = (tokens: number, weight: ArrayView<'f32'>, ignored = 0) => ({
  x: normalView(1, 'x', [tokens, HEAD.hidden]),
  weight,
  targets: i32View(
    [tokens],
    Array.from({ length: tokens }, (_, t) =>
      t < tokens * ignored ? IGNORED_TARGET : (t * 7919) % HEAD.vocabulary,
    ),
  ),
});
