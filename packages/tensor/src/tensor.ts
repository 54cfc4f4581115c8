import type { ArrayView, FloatView } from '@qdylora/contract';

/** A value of a computation: an array, and whether a gradient flows through it. Compared by identity. */
export interface Tensor<V extends ArrayView = ArrayView> {
  readonly view: V;
  readonly needsGradient: boolean;
}

/** A tensor of f32, bf16 or f16. */
export type FloatTensor = Tensor<FloatView>;

/** A value without a gradient: inputs, frozen tables, ids. */
export const constant = <V extends ArrayView>(view: V): Tensor<V> => ({ view, needsGradient: false });

/** A value whose gradient `backward` can return: an activation. Weights are `Parameter`s. */
export const leaf = <V extends ArrayView>(view: V): Tensor<V> => ({ view, needsGradient: true });
