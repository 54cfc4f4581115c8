/** U·diag(s)·Vᵀ of a square matrix. s: [n], non-increasing  u, v: [n, n]; columns are the vectors */
export interface Svd {
  readonly u: Float64Array;
  readonly s: Float64Array;
  readonly v: Float64Array;
}

/** Maximum number of sweeps. One-sided Jacobi converges quadratically; 64 × 64 needs about ten. */
const MAX_SWEEPS = 60;

/**
 * Singular value decomposition by one-sided Jacobi rotations (Hestenes 1958): slow and accurate, for matrices
 * of an adapter's rank.  matrix: [n, n] row-major
 */
export function smallSvd(matrix: Float64Array, n: number): Svd {
  const w = Float64Array.from(matrix);
  const v = new Float64Array(n * n);
  for (let i = 0; i < n; i++) v[i * n + i] = 1;
  for (let sweep = 0, turned = true; turned && sweep < MAX_SWEEPS; sweep++) {
    turned = false;
    for (let p = 0; p < n; p++) for (let q = p + 1; q < n; q++) if (rotate(w, v, n, p, q)) turned = true;
  }
  const lengths = Float64Array.from({ length: n }, (_, j) => Math.sqrt(columnDot(w, n, j, j)));
  const order = [...lengths.keys()].sort((a, b) => lengths[b] - lengths[a]);
  const u = new Float64Array(n * n);
  const sortedV = new Float64Array(n * n);
  const s = Float64Array.from(order, (j) => lengths[j]);
  order.forEach((from, to) => {
    for (let i = 0; i < n; i++) {
      u[i * n + to] = lengths[from] > 0 ? w[i * n + from] / lengths[from] : 0;
      sortedV[i * n + to] = v[i * n + from];
    }
  });
  return { u, s, v: sortedV };
}

/** Makes columns p and q orthogonal.  @returns false if they already are */
// oxlint-disable-next-line max-params -- called for each pair of columns: no record
function rotate(w: Float64Array, v: Float64Array, n: number, p: number, q: number): boolean {
  const alpha = columnDot(w, n, p, p);
  const beta = columnDot(w, n, q, q);
  const gamma = columnDot(w, n, p, q);
  if (Math.abs(gamma) <= 1e-15 * Math.sqrt(alpha * beta) || gamma === 0) return false;
  const zeta = (beta - alpha) / (2 * gamma);
  const t = Math.sign(zeta || 1) / (Math.abs(zeta) + Math.sqrt(1 + zeta * zeta));
  const c = 1 / Math.sqrt(1 + t * t);
  const s = c * t;
  for (const m of [w, v]) {
    for (let i = 0; i < n; i++) {
      const a = m[i * n + p];
      const b = m[i * n + q];
      m[i * n + p] = c * a - s * b;
      m[i * n + q] = s * a + c * b;
    }
  }
  return true;
}

function columnDot(m: Float64Array, n: number, p: number, q: number): number {
  let sum = 0;
  for (let i = 0; i < n; i++) sum += m[i * n + p] * m[i * n + q];
  return sum;
}
