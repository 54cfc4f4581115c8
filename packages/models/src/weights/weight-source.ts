import type { Linear, Parameter } from '@qdylora/tensor';

/**
 * Where a family's builder gets its layers from: a checkpoint, a generator of random weights, or shapes
 * alone. Names are the checkpoint's.
 */
export interface WeightSource {
  /**
   * `<name>.weight` of [out, in] and, with `bias`, `<name>.bias` of [out]: packed in 4 bits where the source
   * quantizes.
   */
  linear(name: string, shape: readonly [number, number], options?: { readonly bias?: boolean }): Linear;
  /** `<name>.weight` of [rows, hidden]: an embedding or a head; never quantized. */
  table(name: string, shape: readonly [number, number]): Parameter;
  /**
   * The tensor `name` of [size] in float32: weight or bias of a norm. `initial`: what it begins with where
   * the weights are random.
   */
  vector(name: string, size: number, initial: 0 | 1): Parameter;
}
