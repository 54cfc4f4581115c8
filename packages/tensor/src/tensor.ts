import type { ArrayView, FloatView } from '@qdylora/contract';

/**
 * A value in a computation: where its numbers are, and whether a gradient has to flow through it. Compared by
 * identity.
 */
export interface Tensor<V extends ArrayView = ArrayView> {
  readonly view: V;
  readonly needsGradient: boolean;
}

/** Rows of numbers of either float type. */
export type FloatTensor = Tensor<FloatView>;

/** A value that no gradient flows through: inputs, frozen tables, ids. */
export const constant = <V extends ArrayView>(view: V): Tensor<V> => ({ view, needsGradient: false });

/** A value whose gradient is asked for (gradcheck, recomputed blocks). */
export const leaf = <V extends ArrayView>(view: V): Tensor<V> => ({ view, needsGradient: true });
