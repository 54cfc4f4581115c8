/** matrixᵀ, of [n, n] */
export const squareTransposed = (matrix: Float64Array, n: number): Float64Array =>
  matrix.map((_, i) => matrix[(i % n) * n + Math.floor(i / n)]);
