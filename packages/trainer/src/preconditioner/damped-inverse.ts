/**
 * (M + δ·I)⁻¹ of a positive semidefinite matrix M, as L⁻ᵀ·L⁻¹ with the Cholesky factor M + δ·I = L·Lᵀ. In
 * exact arithmetic each squared pivot is at least δ; if rounding of M makes one smaller, it is set to δ, so
 * that the inverse is always finite.
 *
 * matrix: [n, n] → [n, n]
 */
export function dampedInverse(matrix: ArrayLike<number>, n: number, damping: number): Float64Array {
  const inverse = inverseOfFactor(choleskyFactor(matrix, n, damping), n);
  const result = new Float64Array(n * n);
  // [i, j] = Σ over k ≥ i of inverse[k, i]·inverse[k, j], for j ≤ i: row k adds to its first k + 1 rows
  for (let k = 0; k < n; k++)
    for (let i = 0; i <= k; i++) {
      const factor = inverse[k * n + i];
      for (let j = 0; j <= i; j++) result[i * n + j] += factor * inverse[k * n + j];
    }
  for (let i = 0; i < n; i++) for (let j = 0; j < i; j++) result[j * n + i] = result[i * n + j];
  return result;
}

/** L of M + δ·I = L·Lᵀ, row by row; 0 above the diagonal. */
function choleskyFactor(matrix: ArrayLike<number>, n: number, damping: number): Float64Array {
  const factor = new Float64Array(n * n);
  for (let i = 0; i < n; i++)
    for (let j = 0; j <= i; j++) {
      let rest = matrix[i * n + j];
      for (let k = 0; k < j; k++) rest -= factor[i * n + k] * factor[j * n + k];
      factor[i * n + j] = i === j ? Math.sqrt(Math.max(rest + damping, damping)) : rest / factor[j * n + j];
    }
  return factor;
}

/** The inverse of a lower triangular matrix, row by row. */
function inverseOfFactor(factor: Float64Array, n: number): Float64Array {
  const inverse = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    const scale = 1 / factor[i * n + i];
    for (let k = 0; k < i; k++) {
      const weight = -scale * factor[i * n + k];
      for (let j = 0; j <= k; j++) inverse[i * n + j] += weight * inverse[k * n + j];
    }
    inverse[i * n + i] = scale;
  }
  return inverse;
}
