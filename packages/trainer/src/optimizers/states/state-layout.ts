import { DTYPE_BYTES, elementCount, type Shape } from '@qdylora/contract';
import { stateBlocks, type Parameter } from '@qdylora/tensor';

/** One array of a parameter's state; `row` is the shape of one row. */
export interface StateSpec {
  readonly kind: string;
  readonly dtype: 'f32' | 'u8';
  readonly row: Shape;
}

/**
 * The arrays of one parameter's state. All have the same number of rows, so some rows of the state are the
 * same rows of each array.
 */
export interface StateLayout {
  /** Shape of the parameter in its step op: [rows, …row]. */
  readonly rows: number;
  readonly row: Shape;
  readonly arrays: readonly StateSpec[];
}

/**
 * Smaller tensors keep 32-bit states in an 8-bit optimizer, as in bitsandbytes: they need little memory, and
 * norms and biases suffer most from 8 bits.
 */
export const MIN_8BIT_ELEMENTS = 4096;

/** Float32 arrays of the parameter's shape. */
export const float32Layout =
  (kinds: readonly string[]) =>
  ({ view: { shape } }: Parameter): StateLayout => {
    const row = shape.slice(1);
    return { rows: shape[0], row, arrays: kinds.map((kind) => ({ kind, dtype: 'f32', row })) };
  };

/**
 * One byte per value and a float32 scale per 256 values: 1 + 4/256 ≈ 1.02 bytes per value instead of 4.
 * Blocks restart at every row; a vector is one row. Small tensors: float32.
 */
export const eightBitLayout =
  (kinds: readonly string[]) =>
  (parameter: Parameter): StateLayout => {
    const { shape } = parameter.view;
    const elements = elementCount(shape);
    if (elements < MIN_8BIT_ELEMENTS) return float32Layout(kinds)(parameter);
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
