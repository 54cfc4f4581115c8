import type { Linear, Parameter } from '@qdylora/tensor';

/**
 * Where the modules of a model get their weights: a checkpoint, random numbers, or shapes alone. Names are
 * those of the checkpoint.
 */
export interface WeightSource {
  /** `<name>.weight`: [out, in], in 4 bits where the source quantizes; with `bias`, `<name>.bias`: [out] */
  linear(name: string, shape: readonly [number, number], options?: { readonly bias?: boolean }): Linear;
  /** An embedding or a head, `<name>.weight`: [rows, hidden]; never quantized. */
  table(name: string, shape: readonly [number, number]): Parameter;
  /** Weight or bias of a norm, the tensor `name`: [size], float32. Random weights begin at `initial`. */
  vector(name: string, size: number, initial: 0 | 1): Parameter;
}

/** A weight source whose layers take time: they are read from files and copied to a device. */
export type AsyncWeightSource = {
  readonly [K in keyof WeightSource]: (
    ...request: Parameters<WeightSource[K]>
  ) => Promise<ReturnType<WeightSource[K]>>;
} & {
  /** Called once, before all others, with the matrices that will be asked for, in their order. */
  readonly prepare?: (matrices: readonly MatrixRequest[]) => Promise<void>;
};

/** A matrix that a model asks its source for. */
export interface MatrixRequest {
  readonly name: string;
  /** [out, in] */
  readonly shape: readonly [number, number];
}
