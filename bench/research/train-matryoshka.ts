import { hostData, type ArrayView } from '@qdylora/contract';
import { scaleAt, type AdapterState } from '@qdylora/lora-dynamic';
import type { CausalLm } from '@qdylora/models';
import {
  accumulateGradients,
  adamw,
  adapterRowRates,
  clearGradients,
  clipCoefficient,
  DEFAULT_MAX_GRAD_NORM,
  gradientNorm,
  type Optimizer,
  type Pass,
} from '@qdylora/trainer';
import { attach, startAdapter } from './adapters.ts';
import type { Job } from './job.ts';
import type { Setting } from './setting.ts';
import type { Trained } from './train-one.ts';

/**
 * MatryoshkaLoRA (Modoranu et al. 2026, arXiv 2605.07850, Algorithm 1): one forward pass trains all ranks,
 *
 *   y = x·Wᵀ + Σ_i P_i·(x·a_i)·b_i,   P_i = Σ over ranks r > i of s_r   (rows i from 0; s_r: scale of r)
 *
 * and rank r is served as s_r times its prefix. The adapter in training holds B̃ = P·B at scale 1, so a pass
 * is an ordinary one at the largest rank. The optimizer still works on B: clipping and AdamW get
 * ∂L/∂B = P·∂L/∂B̃, and a step of B̃ is P times the step of B.
 *
 * A starts as in the other kinds of job, not with the U(±1/√R) of the paper's code.
 */
export async function trainMatryoshka(setting: Setting): Promise<Trained> {
  const { job, steps, model, batches, schedule } = setting;
  const served = attach(model, job, job.ranks);
  const { maxRank } = served.ranks;
  const trained = attach(model, { ...job, scaling: 'uniform', alpha: 1 }, [maxRank]);
  await startAdapter(trained, setting);
  const factors = blockFactors(job, served.ranks.ranks);
  const rowRates = adapterRowRates(
    { ranks: served.ranks, layers: trained.layers },
    { bRatio: job.bRatio, rankRates: factors },
  );
  const rowFactors = factorsOfRows(served.ranks.ranks, factors);
  using optimizer = adamw(trained.parameters(), { learningRate: job.learningRate, rowRates });
  let tokens = 0;
  for (let step = 0; step < steps; step++) {
    const view = trained.atRank(maxRank);
    const passes = batches.batchAt(step).map((batch): Pass => ({ view, batch }));
    await accumulate(model, passes, optimizer);
    for (const { b } of trained.layers) scaleRows(b.gradient!, rowFactors);
    const gradientScale = clipCoefficient(
      await gradientNorm(model.backend, optimizer),
      DEFAULT_MAX_GRAD_NORM,
    );
    optimizer.step({ learningRate: schedule.at(step), gradientScale, rows: null });
    tokens += passes.reduce((sum, { batch }) => sum + batch.ids.length, 0);
    if (step % 10 === 9) console.error(`${job.id} ${step + 1}/${steps}`);
  }
  await served.load(servedState(await trained.state(), await served.state(), rowFactors));
  return { views: job.ranks.map((rank) => served.atRank(rank)), tokens, adapted: served };
}

/** P of the rows that each rank adds. */
export const blockFactors = ({ alpha, scaling }: Job, ranks: readonly number[]): number[] =>
  ranks.map((_, i) =>
    ranks.slice(i).reduce((sum, rank) => sum + scaleAt(scaling, alpha, rank, ranks.at(-1)!), 0),
  );

const factorsOfRows = (ranks: readonly number[], factors: readonly number[]): number[] =>
  Array.from({ length: ranks.at(-1)! }, (_, row) => factors[ranks.findIndex((rank) => row < rank)]);

/** Adds the gradients of the mean loss over all counted tokens. */
async function accumulate(model: CausalLm, passes: readonly Pass[], optimizer: Optimizer): Promise<void> {
  const { memory } = model.backend;
  const counted = passes.reduce((sum, { batch }) => sum + batch.predictedTokens, 0);
  const losses = memory.allocate('f32', [passes.length]);
  memory.persist(losses);
  clearGradients(model, optimizer);
  await accumulateGradients(passes, 1 / counted, losses, { computeDtype: 'bf16' });
  memory.release(losses);
}

/** rows: [rows, width], in place */
function scaleRows(rows: ArrayView<'f32'>, factors: readonly number[]): void {
  const values = hostData(rows);
  const width = values.length / factors.length;
  for (let i = 0; i < values.length; i++) values[i] *= factors[Math.floor(i / width)];
}

/** The nested adapter with B = B̃ / P. */
const servedState = (trained: AdapterState, served: AdapterState, rowFactors: readonly number[]) => ({
  ...served,
  layers: trained.layers.map((layer) => ({
    ...layer,
    b: layer.b.map((value, i) => value / rowFactors[Math.floor(i / layer.outFeatures)]),
  })),
});
