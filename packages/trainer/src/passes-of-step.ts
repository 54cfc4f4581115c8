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
  /** The step's drawn rank (the only one, or the one beside the largest); null without adapters. */
  readonly rank: number | null;
}

/** Which parts of a step run at which ranks. `adapted` null: the bare model; `sampler` null: always the largest rank, as ordinary LoRA does. */
export function passesOfStep(step: number, batches: readonly TokenBatch[], model: Adapted<LossModel> | LossModel, sampler: RankSampler | null): StepPlan {
  if (!isAdapted(model)) return { passes: batches.map((batch) => ({ view: { model, active: null }, batch })), rows: null, rank: null };
  const { ranks, config } = model, parts = partsOf(batches, sampler?.parts ?? 1);
  const runs = parts.flatMap((batch, part) => (sampler?.ranksOfPart(step, part, parts.length) ?? [ranks.maxRank]).map((rank) => ({ rank, batch })));
  const distinct = runs.filter(({ rank, batch }, i) => runs.findIndex((other) => other.rank === rank && other.batch === batch) === i);
  return {
    passes: distinct.map(({ rank, batch }) => ({ view: model.atRank(rank), batch })),
    rows: updatedRows(config.updateRule, ranks, distinct.map(({ rank }) => rank)),
    rank: sampler?.rankAt(step) ?? ranks.maxRank,
  };
}

export const isAdapted = (model: Adapted<LossModel> | LossModel): model is Adapted<LossModel> => 'atRank' in model;

/** The micro batches; where two parts are needed and there is one, its two halves; a single example is both parts. */
function partsOf(batches: readonly TokenBatch[], parts: number): readonly TokenBatch[] {
  const [only] = batches;
  if (batches.length !== 1 || parts === 1 || !only) return batches;
  return only.segments.length - 1 >= 2 ? splitBatch(only) : [only, only];
}
