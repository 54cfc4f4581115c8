import { createRng, QdyloraError, type Memory } from '@qdylora/contract';
import type { TokenBatch } from '@qdylora/data';
import { orthonormalRows, rowSpace, type Adapted, type DyLoraLinear } from '@qdylora/lora-dynamic';
import { accumulateGradients, clearGradients } from '../step/accumulate-gradients.ts';
import { assertFinite } from '../step/assert-finite.ts';
import type { LossModel } from '../step/loss-model.ts';
import type { PassOptions } from '../step/run-pass.ts';
import { setAdapterRows } from '../set-adapter-rows.ts';
import { viewOfAllRows } from '../step/view-of-all-rows.ts';
import { KAIMING_ROW_NORM, orderedRows, randomRows } from './ordered-rows.ts';

/** Options of `startFromGradients`: those of its passes, the seed, and the norm of the rows of A. */
export interface GradientStartOptions extends Omit<PassOptions, 'dropout'> {
  /** Seed of the random rows; 0 by default. */
  readonly seed?: number;
  /** Norm of each row of A; 1/√3 by default, the root mean square norm of the Kaiming start. */
  readonly rowNorm?: number;
  /** Ends the work before the next op. */
  readonly signal?: AbortSignal;
}

/**
 * Starts an adapter on the directions in which the loss falls fastest: row k of A becomes the k-th right
 * singular vector of the gradient G = ∂L/∂W of its layer, or an estimate of it (times `rowNorm`), and B = 0.
 * A prefix of rows is then about the best subspace of its rank for the first step (LoRA-One's subspace, arXiv
 * 2502.01235, without its B ≠ 0; ordered, so that it fits every rank).
 *
 * G [out, in] is never formed. Both passes read only gradients of the adapter (Halko et al. 2011):
 * - with A = Ω (Gaussian) and B = 0, ∂L/∂B = s·Ω·Gᵀ: [maxRank, out]; its rows span the column space of G;
 * - with A = 0 and B = Q, an orthonormal basis of these rows, ∂L/∂A = s·Q·G: [maxRank, in]. Its right
 *   singular vectors are those of G, as far as Q spans G's column space.
 *
 * Q spans that space if maxRank is at least the rank of G. Otherwise rows are estimates of the vectors: at a
 * maxRank of 1, 4 and 16 they had about 0.61, 0.76 and 0.94 of the energy of the best (a tiny random model,
 * whose singular values decay slowly). With a larger maxRank the first rows are better estimates.
 *
 * Cost: two forward and backward passes over `batches`. Rows beyond the rank of G keep their random start.
 *
 * @throws QdyloraError BAD_ARGUMENT for batches without a counted token; ABORTED; NON_FINITE. A and B are not
 * usable then: call this again, or initialize the adapter.
 * @example await startFromGradients(adapted, batches.batchAt(0), { seed: 7 });
 */
export async function startFromGradients(
  adapted: Adapted<LossModel>,
  batches: readonly TokenBatch[],
  { seed = 0, rowNorm = KAIMING_ROW_NORM, ...options }: GradientStartOptions = {},
): Promise<void> {
  const { memory } = adapted.model.backend;
  const rng = createRng(seed).named('gradient-start');
  const parameters = adapted.parameters();
  const wereFrozen = parameters.filter(({ needsGradient }) => !needsGradient);
  const random = new Map(adapted.layers.map((layer) => [layer, randomRows(layer, rng.named(layer.name))]));
  try {
    for (const layer of adapted.layers) setAdapterRows(memory, layer, { a: random.get(layer)!, b: null });
    await addGradients(adapted, batches, options);
    for (const layer of adapted.layers) {
      const gradient = await gradientOf(memory, layer, 'b');
      const { q } = orthonormalRows(gradient, adapted.ranks.maxRank, layer.outFeatures);
      setAdapterRows(memory, layer, { a: null, b: Float32Array.from(q) });
    }
    await addGradients(adapted, batches, options);
    for (const layer of adapted.layers) {
      const space = rowSpace(await gradientOf(memory, layer, 'a'), adapted.ranks.maxRank, layer.inFeatures);
      setAdapterRows(memory, layer, { a: orderedRows(space, random.get(layer)!, rowNorm), b: null });
    }
  } finally {
    for (const parameter of wereFrozen) parameter.freeze(memory);
  }
}

async function addGradients(
  adapted: Adapted<LossModel>,
  batches: readonly TokenBatch[],
  options: Omit<GradientStartOptions, 'seed' | 'rowNorm'>,
): Promise<void> {
  const { memory } = adapted.model.backend;
  const predictedTokens = batches.reduce((sum, batch) => sum + batch.predictedTokens, 0);
  if (predictedTokens === 0)
    throw new QdyloraError('BAD_ARGUMENT', {
      where: 'adapter_init',
      problem: 'The gradient start needs rows with at least one counted token',
      nextStep: 'Pass other rows, or use adapter_init: kaiming.',
    });
  const view = viewOfAllRows(adapted);
  const losses = memory.allocate('f32', [batches.length]);
  memory.persist(losses);
  try {
    clearGradients(adapted.model, adapted.parameters());
    await accumulateGradients(
      batches.map((batch) => ({ view, batch })),
      1 / predictedTokens,
      losses,
      options,
    );
  } finally {
    memory.release(losses);
  }
}

async function gradientOf(memory: Memory, layer: DyLoraLinear, name: 'a' | 'b'): Promise<Float32Array> {
  const gradient = (await memory.read(layer[name].gradient!)) as Float32Array;
  assertFinite(gradient, {
    where: 'adapter_init',
    problem: `The gradient of ${layer.name} is infinite or NaN`,
    nextStep: 'Use compute_dtype: f32, or adapter_init: kaiming.',
  });
  return gradient;
}
