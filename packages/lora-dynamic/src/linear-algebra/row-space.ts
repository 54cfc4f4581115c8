import { orthonormalRows } from './orthonormal-rows.ts';
import { smallSvd } from './small-svd.ts';
import { squareTransposed } from './square-transposed.ts';

/** The row space of a matrix, most important direction first. */
export interface RowSpace {
  /** Singular values, non-increasing: [rows] */
  readonly values: Float64Array;
  /** Right singular vectors as rows of norm 1: [rows, width]. A row whose singular value is 0 is 0. */
  readonly vectors: Float64Array;
}

/** Singular values below this share of the largest are rounding errors of float32 input. */
const SMALLEST_SHARE = 1e-6;

/**
 * Right singular vectors of a wide matrix. With matrix = Rᵀ·Q (Q: orthonormal rows) and Rᵀ = U·S·Vᵀ, they are
 * the rows of Vᵀ·Q, so only a rows × rows matrix needs an SVD.
 *
 * matrix: [rows, width]
 */
export function rowSpace(matrix: Float32Array, rows: number, width: number): RowSpace {
  const { q, r } = orthonormalRows(matrix, rows, width);
  const { s, v } = smallSvd(squareTransposed(r, rows), rows);
  const vectors = new Float64Array(rows * width);
  for (let k = 0; k < rows; k++) {
    if (s[k] <= s[0] * SMALLEST_SHARE) {
      s[k] = 0;
      continue;
    }
    const vector = vectors.subarray(k * width, (k + 1) * width);
    for (let i = 0; i < rows; i++) {
      const factor = v[i * rows + k];
      for (let j = 0; j < width; j++) vector[j] += factor * q[i * width + j];
    }
  }
  return { values: s, vectors };
}
