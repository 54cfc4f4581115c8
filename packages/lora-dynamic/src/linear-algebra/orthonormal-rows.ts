/**
 * Gram–Schmidt on rows, twice for accuracy: row k = Σ_i r[i, k]·q_i. A row that depends on earlier ones gets
 * q = 0. → q: [rows, width] r: [rows, rows]
 */
export function orthonormalRows(
  matrix: ArrayLike<number>,
  rows: number,
  width: number,
): { q: Float64Array; r: Float64Array } {
  const q = Float64Array.from(matrix);
  const r = new Float64Array(rows * rows);
  for (let k = 0; k < rows; k++) {
    const row = q.subarray(k * width, (k + 1) * width);
    const before = norm(row);
    for (let pass = 0; pass < 2; pass++)
      for (let i = 0; i < k; i++) {
        const earlier = q.subarray(i * width, (i + 1) * width);
        let dot = 0;
        for (let j = 0; j < width; j++) dot += earlier[j] * row[j];
        for (let j = 0; j < width; j++) row[j] -= dot * earlier[j];
        r[i * rows + k] += dot;
      }
    const length = norm(row);
    if (length <= before * 1e-12) {
      row.fill(0);
      continue;
    }
    r[k * rows + k] = length;
    for (let j = 0; j < width; j++) row[j] /= length;
  }
  return { q, r };
}

const norm = (row: Float64Array): number => Math.sqrt(row.reduce((sum, x) => sum + x * x, 0));
