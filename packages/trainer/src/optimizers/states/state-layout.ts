import { DTYPE_BYTES, elementCount, type Shape } from '@qdylora/contract';
import { stateBlocks, type Parameter } from '@qdylora/tensor';

/** One array of a parameter's state; `row` is the shape of one row. */
export interface StateSpec {
  readonly kind: string;
  readonly dtype: 'f32' | 'u8';
  readonly row: Shape;
}

/**
 * How the state of one parameter is kept: arrays over the same rows, so that some rows of the state are a
 * slice of each of them.
 */
export interface StateLayout {
  /** The parameter as its step op sees it: [rows, …row]. */
  readonly rows: number;
  readonly row: Shape;
  readonly arrays: readonly StateSpec[];
}

/**
 * Smaller tensors keep 32-bit states under an 8-bit optimizer, as in bitsandbytes: they are little memory,
 * and norms and biases are what 8 bits hurt most.
 */
export const LEAST_8BIT_ELEMENTS = 4096;

/** Float32 arrays of the parameter's shape. */
export const float32Layout =
  (kinds: readonly string[]) =>
  ({ view: { shape } }: Parameter): StateLayout => {
    const row = shape.slice(1);
    return { rows: shape[0], row, arrays: kinds.map((kind) => ({ kind, dtype: 'f32', row })) };
  };

/**
 * Codes of a byte and a float32 scale for every 256 of them: 1.03 bytes per number where float32 has 4.
 * Blocks restart at every row; a vector is one row.
 * Small tensors: float32.
 */
export const eightBitLayout =
  (kinds: readonly string[]) =>
  (parameter: Parameter): StateLayout => {
    const { shape } = parameter.view;
    const elements = elementCount(shape);
    if (elements < LEAST_8BIT_ELEMENTS) return float32Layout(kinds)(parameter);
    const rows = shape.length > 1 ? shape[0] : 1;
    const row = [elements / rows];
    return {
      rows,
      row,
      arrays: kinds.flatMap(
        (kind) =>
          [
            { kind, dtype: 'u8', row },
            { kind: absmaxOf(kind), dtype: 'f32', row: [stateBlocks(row[0])] },
          ] as const,
      ),
    };
  };

/** Name of the scales of an 8-bit array. */
export const absmaxOf = (kind: string): string => `${kind}_absmax`;

/** Bytes of `rows` rows of an array. */
export const specBytes = ({ dtype, row }: StateSpec, rows: number): number =>
  rows * elementCount(row) * DTYPE_BYTES[dtype];

/** Bytes of `rows` rows of the state. */
export const layoutBytes = ({ arrays }: StateLayout, rows: number): number =>
  arrays.reduce((sum, spec) => sum + specBytes(spec, rows), 0);
