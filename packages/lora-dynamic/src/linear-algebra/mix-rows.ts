/** weights · rows, summed in float64.  weights: [rank, rank]  rows: [rank, width]  →  [rank, width] */
export function mixRows(weights: Float64Array, rows: Float32Array | Float64Array): Float32Array {
  const rank = Math.sqrt(weights.length);
  const width = rows.length / rank;
  const result = new Float32Array(rows.length);
  const sums = new Float64Array(width);
  for (let k = 0; k < rank; k++) {
    sums.fill(0);
    for (let i = 0; i < rank; i++) {
      const weight = weights[k * rank + i];
      for (let j = 0; j < width; j++) {
        sums[j] += weight * rows[i * width + j];
      }
    }
    result.set(sums, k * width);
  }
  return result;
}
