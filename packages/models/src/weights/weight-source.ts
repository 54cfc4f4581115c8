import type { Linear, Parameter } from '@qdylora/tensor';

/** Where a family's builder gets its layers from: a checkpoint, or a generator of random weights. Names are the checkpoint's. */
export interface WeightSource {
  /** `<name>.weight` of [out, in] and, where `bias`, `<name>.bias` of [out]: packed in 4 bits where the source quantizes. */
  linear(name: string, shape: readonly [number, number], bias: boolean): Linear;
  /** `<name>.weight` of [rows, hidden]: an embedding or a head; never quantized. */
  table(name: string, shape: readonly [number, number]): Parameter;
  /** `<name>.weight` of [size] in float32: a norm's weight. */
  vector(name: string, size: number): Parameter;
}
