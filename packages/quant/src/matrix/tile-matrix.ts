import type { ArrayView } from '@qdylora/contract';
import type { QuantizedMatrix } from './quantized-matrix.ts';
import { fitsTiles, fromTiles, toTiles } from './tile-order.ts';

/**
 * The matrix with its bytes in tiles of 32 rows × 64 columns, which kernels read as whole kilobytes both for
 * y = x·Wᵀ and for dx = dy·W; the numbers stay as they are.
 * A matrix that has no whole tiles, or other blocks than 64, comes back unchanged.
 * `inPlace`: its arrays are written over.
 *
 * ```
 * row-major   row 0: block 0, block 1, …   row 1: block 0, …
 * tiles       rows 0…31 of block 0 (1 KiB), rows 0…31 of block 1, …   rows 32…63 of block 0, …
 *             and their scales in the same order
 * ```
 */
export function tileMatrix(
  matrix: QuantizedMatrix,
  { inPlace = false }: { inPlace?: boolean } = {},
): QuantizedMatrix {
  return matrix.tiled || !fitsTiles(matrix.shape, matrix.blockSize)
    ? matrix
    : reordered(matrix, toTiles, true, inPlace);
}

/** The exact inverse: the row-major order of files. */
export const untileMatrix = (matrix: QuantizedMatrix): QuantizedMatrix =>
  matrix.tiled ? reordered(matrix, fromTiles, false, false) : matrix;

function reordered(
  matrix: QuantizedMatrix,
  order: typeof toTiles,
  tiled: boolean,
  inPlace: boolean,
): QuantizedMatrix {
  const { shape, codes, absmax, doubleQuantized: nested } = matrix;
  const into = <V extends ArrayView>(view: V): V | undefined => (inPlace ? view : undefined);
  return {
    ...matrix,
    tiled,
    codes: order(codes, shape, 'codes', into(codes)),
    absmax: absmax && order(absmax, shape, 'scales', into(absmax)),
    doubleQuantized: nested && { ...nested, codes: order(nested.codes, shape, 'scales', into(nested.codes)) },
  };
}
