import { assertArgument, rowsOf, runOp, shownValue, type ArrayView, type Backend } from '@qdylora/contract';
import type { Adapted, DyLoraLinear } from '@qdylora/lora-dynamic';
import { copy, linear, linearInputGradient } from '@qdylora/tensor';
import type { LossModel } from '../step/loss-model.ts';
import type { Pass } from '../step/run-pass.ts';
import { dampedInverse } from './damped-inverse.ts';
import { rankMetric, trainedShares } from './rank-metric.ts';

type F32 = ArrayView<'f32'>;

/** Changes the gradients of a step before the optimizer reads them. */
export interface Preconditioner {
  /**
   * Changes the gradients in place. The weights are still those of the passes.
   *
   * @param passes the passes that added the gradients
   */
  precondition(passes: readonly Pass[]): Promise<void>;
}

/** Values of `preconditioner` in the config. */
export const PRECONDITIONERS = ['none', 'prefix'] as const;

/** Damping of PEFT's `create_riemannian_optimizer`. */
const DAMPING = 1e-2;

/**
 * Scales the gradients of an adapter by the metric of the other factor (Zhang and Pilanci 2024, arXiv
 * 2402.02347; `create_riemannian_optimizer` of PEFT):
 *
 *   gA ← (B·Bᵀ + δI)⁻¹·gA,   gB ← (A·Aᵀ + δI)⁻¹·gB        A, gA: [b, in]   B, gB: [b, out]
 *
 * with only the first b rows, for a step at rank b. The change of the product BᵀA then does not depend on how
 * it is factored into A and B: for an invertible T: [b, b] and δ → 0, the step of (T⁻¹·A, Tᵀ·B) has the same
 * effect. Later rows have no influence on a step at rank b.
 *
 * A step at several ranks uses the mean of their metrics over its tokens: each rank b adds its leading block
 * of the Gram matrix, times (s_b / s_R)², where s are the scales and R is the largest rank of the step
 * (`rankMetric`).
 *
 * Clipping comes first: the coefficient is that of the plain gradient, as in PEFT, whose trainer clips before
 * the optimizer. Cost: 4·b²·(in + out) float32 operations per layer in ops, 2 inverses of [b, b] per layer in
 * float64 on the host, and one more wait for the device.
 *
 * @throws QdyloraError BAD_ARGUMENT unless the damping is a number greater than 0
 * @example
 * const preconditioner = prefixPreconditioner(adapted);
 * await trainStep(adapted.atRank(8), batch, optimizer, { preconditioner });
 */
export function prefixPreconditioner(
  { model: { backend }, layers }: Pick<Adapted<LossModel>, 'model' | 'layers'>,
  { damping = DAMPING }: { readonly damping?: number } = {},
): Preconditioner {
  assertArgument(
    Number.isFinite(damping) && damping > 0,
    'preconditioner',
    `The damping must be a number greater than 0 (got ${shownValue(damping)})`,
  );
  return {
    async precondition(passes) {
      const shares = trainedShares(passes);
      if (shares.length === 0) return;
      const rank = Math.max(...shares.map((rows) => rows.rank));
      const weights = rankMetric(shares, rank, (each) => layers[0].scaleAt(each));
      const size = rank * rank;
      const grams = await gramMatrices(backend, layers, rank);
      const metric = new Float64Array(size);
      const inverse = new Float32Array(size);
      layers.forEach(({ a, b }, i) => {
        for (const [parameter, other] of [
          [a, 2 * i + 1],
          [b, 2 * i],
        ] as const) {
          if (!parameter.gradient) continue;
          // a loop: 420 calls of map would take as long as the inverses (SmolLM2-135M)
          for (let at = 0; at < size; at++) metric[at] = weights[at] * grams[other * size + at];
          inverse.set(dampedInverse(metric, rank, damping));
          multiplyRows(backend, inverse, rowsOf(parameter.gradient, 0, rank));
        }
      });
    },
  };
}

/** A·Aᵀ and B·Bᵀ of the first rows of each layer, in this order: [2 · layers · rank · rank] */
async function gramMatrices(
  backend: Backend,
  layers: readonly DyLoraLinear[],
  rank: number,
): Promise<Float32Array> {
  const { memory } = backend;
  const grams = memory.allocate('f32', [2 * layers.length * rank, rank]);
  memory.persist(grams);
  try {
    layers
      .flatMap(({ a, b }) => [a, b])
      .forEach(({ view }, i) => {
        const rows = rowsOf(view as F32, 0, rank);
        const y = rowsOf(grams, i * rank, (i + 1) * rank);
        runOp(backend, linear, { x: rows, weight: rows }, { computeDtype: 'f32' }, { y });
      });
    return await memory.read(grams);
  } finally {
    memory.release(grams);
  }
}

/** rows ← matrix · rows.  matrix: [n, n]  rows: [n, width] */
function multiplyRows(backend: Backend, matrix: Float32Array, rows: F32): void {
  const { memory } = backend;
  const n = rows.shape[0];
  memory.scoped(() => {
    const dy = memory.allocate('f32', [n, n]);
    memory.write(dy, matrix);
    const attributes = { computeDtype: 'f32', accumulate: false } as const;
    const { dx } = runOp(backend, linearInputGradient, { dy, weight: rows }, attributes);
    runOp(backend, copy, { x: dx }, {}, { y: rows });
  });
}
