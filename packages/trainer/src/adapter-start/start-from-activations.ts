import { assertArgument, createRng, QdyloraError } from '@qdylora/contract';
import type { TokenBatch } from '@qdylora/data';
import {
  observeProjections,
  orthonormalRows,
  rowSpace,
  type AdaptableModel,
  type Adapted,
  type InputSums,
} from '@qdylora/lora-dynamic';
import { inferenceContext, type ComputeDtype } from '@qdylora/tensor';
import { nextTurn } from '../next-turn.ts';
import { assertFinite } from '../step/assert-finite.ts';
import type { LossModel } from '../step/loss-model.ts';
import { setAdapterRows } from '../set-adapter-rows.ts';
import { KAIMING_ROW_NORM, orderedRows, randomRows } from './ordered-rows.ts';

/** Options of `startFromActivations`: the seed of its random rows, and the norm of the rows of A. */
export interface ActivationStartOptions {
  /** Seed of the random rows; 0 by default. */
  readonly seed?: number;
  /** Norm of each row of A; 1/√3 by default, the root mean square norm of the Kaiming start. */
  readonly rowNorm?: number;
  /** `f32` by default. */
  readonly computeDtype?: ComputeDtype;
  /** Checked before each batch. */
  readonly signal?: AbortSignal;
}

/**
 * Starts an adapter on the directions in which its inputs vary most: row k of A becomes the k-th right
 * singular vector of the inputs X: [tokens, in] of its layer (times `rowNorm`), and B = 0. The start of EVA
 * (Paischer et al. 2024, arXiv 2410.07170), with one rank for all layers.
 *
 * With H = Xᵀ·X, two forward passes suffice, and no input is stored (subspace iteration, Halko et al. 2011):
 * A = Ω (Gaussian) gives Ω·H; A = Q, an orthonormal basis of its rows, gives Q·H: [maxRank, in], whose right
 * singular vectors are those of X, as far as Q spans them. If maxRank is small they are estimates, as in
 * `startFromGradients`.
 *
 * @param model the model that was adapted
 * @throws QdyloraError BAD_ARGUMENT without batches; ABORTED; NON_FINITE. A and B are not usable then: call
 * this again, or initialize the adapter.
 * @example await startFromActivations(model, adapted, batches.batchAt(0), { seed: 7 });
 */
export async function startFromActivations<M extends AdaptableModel<M> & LossModel>(
  model: M,
  adapted: Adapted<M>,
  batches: readonly TokenBatch[],
  { seed = 0, rowNorm = KAIMING_ROW_NORM, ...options }: ActivationStartOptions = {},
): Promise<void> {
  assertArgument(
    batches.length > 0,
    'adapter_init',
    'The activation start needs rows to observe',
    'Pass rows, or use adapter_init: kaiming.',
  );
  const { memory } = model.backend;
  const { layers, ranks } = adapted;
  const rng = createRng(seed).named('activation-start');
  const random = new Map(layers.map((layer) => [layer.name, randomRows(layer, rng.named(layer.name))]));
  for (const layer of layers) setAdapterRows(memory, layer, { a: random.get(layer.name)!, b: null });
  const first = await projections(model, adapted, batches, options);
  for (const layer of layers) {
    const { q } = orthonormalRows(first.get(layer.name)!, ranks.maxRank, layer.inFeatures);
    setAdapterRows(memory, layer, { a: Float32Array.from(q), b: null });
  }
  const second = await projections(model, adapted, batches, options);
  for (const layer of layers) {
    const space = rowSpace(second.get(layer.name)!, ranks.maxRank, layer.inFeatures);
    setAdapterRows(memory, layer, { a: orderedRows(space, random.get(layer.name)!, rowNorm), b: null });
  }
}

/** A·H of each layer over all batches: [maxRank, in] */
async function projections<M extends AdaptableModel<M> & LossModel>(
  model: M,
  adapted: Adapted<M>,
  batches: readonly TokenBatch[],
  { computeDtype = 'f32', signal }: Pick<ActivationStartOptions, 'computeDtype' | 'signal'>,
): Promise<InputSums> {
  using observer = observeProjections(model, adapted);
  const { view } = observer;
  for (const batch of batches) {
    if (signal?.aborted)
      throw new QdyloraError('ABORTED', {
        where: 'adapter_init',
        problem: 'The start of the adapter was aborted',
        cause: signal.reason,
      });
    await nextTurn();
    model.backend.memory.scoped(() => {
      const context = { ...inferenceContext(model.backend), active: view.active, computeDtype };
      view.model.loss(context, batch, { lossScale: 1 });
    });
  }
  const sums = await observer.sums();
  for (const [name, values] of sums)
    assertFinite(values, {
      where: 'adapter_init',
      problem: `The inputs of ${name} are infinite or NaN`,
      nextStep: 'Use compute_dtype: f32, or adapter_init: kaiming.',
    });
  return sums;
}
