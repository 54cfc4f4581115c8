import type { ArrayView, Backend } from '@qdylora/contract';

/** The tokens of one pass, flattened: sequences stand one after another, nothing is padded. */
export interface TokenInputs {
  /** [tokens] */
  readonly ids: Int32Array;
  /** [tokens], from 0 in each sequence */
  readonly positions: Int32Array;
  /** [sequences + 1]: where each sequence begins, and the end */
  readonly segments: Int32Array;
}

/** The same with what to predict. */
export interface LossInputs extends TokenInputs {
  /** [tokens]: the token that should follow, −100 = not counted */
  readonly targets: Int32Array;
}

/** Token inputs in a backend's memory. */
export interface BatchArrays {
  readonly ids: ArrayView<'i32'>;
  readonly positions: ArrayView<'i32'>;
  readonly segments: ArrayView<'i32'>;
}

export const batchArrays = (backend: Backend, { ids, positions, segments }: TokenInputs): BatchArrays => ({
  ids: i32Array(backend, ids),
  positions: i32Array(backend, positions),
  segments: i32Array(backend, segments),
});

/** Whole numbers in a backend's memory, in the current scope. */
export function i32Array(backend: Backend, values: Int32Array): ArrayView<'i32'> {
  const view = backend.memory.allocate('i32', [values.length]);
  backend.memory.write(view, values);
  return view;
}

/** One sequence as token inputs. `start`: position of its first token. */
export function oneSequence(ids: ArrayLike<number>, start = 0): TokenInputs {
  return {
    ids: Int32Array.from(ids),
    positions: Int32Array.from({ length: ids.length }, (_, i) => start + i),
    segments: Int32Array.of(0, ids.length),
  };
}
