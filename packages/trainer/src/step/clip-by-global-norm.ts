import { rowsOf, runOp, type ArrayView, type Backend } from '@qdylora/contract';
import { sumOfSquares } from '@qdylora/tensor';
import { gradientArrays, type Optimizer } from '../optimizers/optimizer.ts';

/** Default of `max_grad_norm`, as in transformers. */
export const DEFAULT_MAX_GRAD_NORM = 1;

/** Keeps the coefficient finite at norm 0, as in torch. */
const NORM_EPSILON = 1e-6;

/** Enqueues Σ x² of each array → into: [arrays] */
export function sumSquares(
  backend: Backend,
  arrays: readonly ArrayView<'f32'>[],
  into: ArrayView<'f32'>,
): void {
  arrays.forEach((x, i) => {
    runOp(backend, sumOfSquares, { x }, {}, { sum: rowsOf(into, i, i + 1) });
  });
}

/** The global 2-norm from sums of squares. */
export const globalNorm = (sums: Float32Array): number =>
  Math.sqrt(sums.reduce((total, sum) => total + sum, 0));

/**
 * The global 2-norm of the gradients of an optimizer's parameters, bit for bit that of `trainStep`. The
 * optimizer is prepared first if necessary.
 */
export async function gradientNorm(
  backend: Backend,
  optimizer: Pick<Optimizer, 'prepare' | 'parameters' | 'gradients'>,
): Promise<number> {
  const { memory } = backend;
  optimizer.prepare(backend);
  const gradients = gradientArrays(optimizer);
  const sums = memory.allocate('f32', [gradients.length]);
  memory.persist(sums);
  try {
    sumSquares(backend, gradients, sums);
    return globalNorm(await memory.read(sums));
  } finally {
    memory.release(sums);
  }
}

/**
 * The factor that scales a gradient of this norm down to `maxNorm`: min(1, maxNorm / (norm + 1e-6)).
 * `maxNorm` null or 0: no clipping. NaN for a norm that is not finite: no factor makes such gradients usable.
 */
export const clipCoefficient = (norm: number, maxNorm: number | null): number =>
  !Number.isFinite(norm) ? NaN : maxNorm ? Math.min(1, maxNorm / (norm + NORM_EPSILON)) : 1;
