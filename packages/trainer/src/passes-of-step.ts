import type { TokenBatch } from '@qdylora/data';
import { updatedRows, type Adapted, type RankSampler } from '@qdylora/lora-dynamic';
import type { Pass } from './accumulate-gradients.ts';
import type { LossModel } from './loss-model.ts';
import type { RowRange } from './optimizers/optimizer.ts';
import { splitBatch } from './split-batch.ts';

/** What one optimizer step does. */
export interface StepPlan {
  readonly passes: readonly Pass[];
  /** Rows that the optimizer may touch; null: all of every parameter. */
  readonly rows: readonly RowRange[] | null;
  /** The rank of all passes; where they differ, the step's drawn rank (the one beside the largest); null without adapters. */
  readonly rank: number | null;
}

/** Which parts of a step run at which ranks. A bare model has none; `sampler` null: always the largest rank, as ordinary LoRA does. */
export function passesOfStep(step: number, batches: readonly TokenBatch[], model: Adapted<LossModel> | LossModel, sampler: RankSampler | null): StepPlan {
  if (!isAdapted(model)) return { passes: batches.map((batch) => ({ view: { model, active: null }, batch })), rows: null, rank: null };
  const { ranks, config } = model, runs = sampler ? runsOfStep(step, batches, sampler) : batches.map((batch) => ({ rank: ranks.maxRank, batch }));
  const [first] = runs, isOneRank = runs.every(({ rank }) => rank === first?.rank);
  return {
    passes: runs.map(({ rank, batch }) => ({ view: model.atRank(rank), batch, weight: sampler?.lossWeightOf(rank) })),
    rows: updatedRows(config.updateRule, ranks, runs.map(({ rank }) => rank)),
    rank: isOneRank && first ? first.rank : sampler?.rankAt(step) ?? ranks.maxRank,
  };
}

export const isAdapted = (model: Adapted<LossModel> | LossModel): model is Adapted<LossModel> => 'atRank' in model;

/** Parts that take turns where a step is one part: in a sandwich, the largest and the drawn rank. */
const FEWEST_TURNS = 2;

/**
 * The parts of all micro batches, each at its ranks. A step of one part (a single example, which cannot be cut, or one micro batch that is not to be) would cost as much again for
 * each rank that it runs at: there the parts take turns over the steps.
 */
function runsOfStep(step: number, batches: readonly TokenBatch[], sampler: RankSampler): { rank: number; batch: TokenBatch }[] {
  const segments = sampler.segmentsOf(batches.length), parts = batches.flatMap((batch) => splitBatch(batch, Math.max(1, Math.min(segments, batch.segments.length - 1))));
  const turns = parts.length === 1 ? Math.max(segments, FEWEST_TURNS) : 0;
  return parts.flatMap((batch, part) => sampler.ranksOfPart(step, turns ? step % turns : part, turns || parts.length).map((rank) => ({ rank, batch })));
}
