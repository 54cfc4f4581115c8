import type { Memory } from '@qdylora/contract';
import type { TokenBatch } from '@qdylora/data';
import type { Adapted, DyLoraLinear, RowFisher } from '@qdylora/lora-dynamic';
import { accumulateGradients, clearGradients } from '../step/accumulate-gradients.ts';
import { assertFinite } from '../step/assert-finite.ts';
import type { LossModel } from '../step/loss-model.ts';
import type { PassOptions } from '../step/run-pass.ts';
import { viewOfAllRows } from '../step/view-of-all-rows.ts';

/** Options of `fisherOfRows`: the level of the base, and those of its passes. */
export interface FisherOptions extends Omit<PassOptions, 'dropout'> {
  /** Quantization level of the base, in bits per weight; 4 by default. */
  readonly level?: number;
  /** Ends the work before the next op. */
  readonly signal?: AbortSignal;
}

/**
 * Empirical Fisher information of the adapter rows at the largest rank (`RowFisher`), from the gradients of
 * the loss at the examples' labels. A factor on row k multiplies row k of B, so q[k] = Σ over out of
 * B[k]·∂L/∂B[k]: only the gradients of training are needed.
 *
 * Cost: a forward and a backward pass for each batch. Weights do not change; gradients are overwritten.
 *
 * @param batches one example each; several examples in one batch count as a single one
 * @throws QdyloraError NON_FINITE if a gradient is infinite or NaN; ABORTED
 * @example
 * const fisher = await fisherOfRows(adapted, examples.map((example) => collate([example])));
 */
export async function fisherOfRows(
  adapted: Adapted<LossModel>,
  batches: readonly TokenBatch[],
  { level, ...options }: FisherOptions = {},
): Promise<RowFisher> {
  const { layers, model, ranks } = adapted;
  const { maxRank } = ranks;
  const { memory } = model.backend;
  const view = viewOfAllRows(adapted, { level });
  const wereFrozen = adapted.parameters().filter(({ needsGradient }) => !needsGradient);
  const entries: { layer: DyLoraLinear; rows: Float32Array; sums: Float64Array }[] = [];
  for (const layer of layers) {
    const rows = (await memory.read(layer.b.view)) as Float32Array;
    entries.push({ layer, rows, sums: new Float64Array(maxRank * maxRank) });
  }
  const loss = memory.allocate('f32', [1]);
  memory.persist(loss);
  try {
    for (const batch of batches) {
      clearGradients(model, adapted.parameters());
      await accumulateGradients([{ view, batch }], 1, loss, options);
      for (const { layer, rows, sums } of entries)
        addOuterProduct(sums, await rowDerivatives(memory, layer, rows));
    }
  } finally {
    memory.release(loss);
    for (const parameter of wereFrozen) parameter.freeze(memory);
  }
  return new Map(entries.map(({ layer, sums }) => [layer.name, sums]));
}

/** q[k] = Σ over out of B[k]·∂L/∂B[k]: [maxRank].  rows: B, [maxRank, out] */
async function rowDerivatives(
  memory: Memory,
  { name, b, outFeatures }: DyLoraLinear,
  rows: Float32Array,
): Promise<Float64Array> {
  const gradient = (await memory.read(b.gradient!)) as Float32Array;
  assertFinite(gradient, {
    where: name,
    problem: 'The gradient of the adapter is infinite or NaN',
    nextStep: 'Use compute_dtype: f32.',
  });
  const derivatives = new Float64Array(rows.length / outFeatures);
  for (let i = 0; i < rows.length; i++) derivatives[Math.floor(i / outFeatures)] += rows[i] * gradient[i];
  return derivatives;
}

/** sums += q·qᵀ */
function addOuterProduct(sums: Float64Array, q: Float64Array): void {
  for (let i = 0; i < q.length; i++) for (let j = 0; j < q.length; j++) sums[i * q.length + j] += q[i] * q[j];
}
