import type { ArrayView, Backend } from '@qdylora/contract';

/** The tokens of one pass: sequences one after another, without padding. */
export interface TokenInputs {
  /** [tokens] */
  readonly ids: Int32Array;
  /** Position of each token in its sequence, from 0: [tokens] */
  readonly positions: Int32Array;
  /** First token of each sequence, and the end: [sequences + 1] */
  readonly segments: Int32Array;
}

/** Token inputs and the tokens to predict. */
export interface LossInputs extends TokenInputs {
  /** The token that follows each token, −100 where it is not counted: [tokens] */
  readonly targets: Int32Array;
}

/** Token inputs in a backend's memory. */
export interface BatchArrays {
  readonly ids: ArrayView<'i32'>;
  readonly positions: ArrayView<'i32'>;
  readonly segments: ArrayView<'i32'>;
}

/** The arrays of a loss. */
export interface LossArrays extends BatchArrays {
  readonly targets: ArrayView<'i32'>;
  /** Factor on the loss of each token: [tokens] */
  readonly tokenWeights?: ArrayView<'f32'> | undefined;
}

/** Copies token inputs into a backend's memory, in the open scope. */
export const batchArrays = (backend: Backend, { ids, positions, segments }: TokenInputs): BatchArrays => ({
  ids: i32Array(backend, ids),
  positions: i32Array(backend, positions),
  segments: i32Array(backend, segments),
});

/** Copies whole numbers into a backend's memory, in the open scope. */
export function i32Array(backend: Backend, values: Int32Array): ArrayView<'i32'> {
  const view = backend.memory.allocate('i32', [values.length]);
  backend.memory.write(view, values);
  return view;
}

/**
 * One sequence as token inputs.
 *
 * @param start position of its first token, for sequences that continue a cache
 * @example
 * oneSequence([5, 9, 3]).segments; // Int32Array [0, 3]
 */
export function oneSequence(ids: ArrayLike<number>, start = 0): TokenInputs {
  return {
    ids: Int32Array.from(ids),
    positions: Int32Array.from({ length: ids.length }, (_, i) => start + i),
    segments: Int32Array.of(0, ids.length),
  };
}
