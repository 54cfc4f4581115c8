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
  /**
   * The rank of all passes; where they differ, the step's drawn rank (the one beside the largest); null
   * without adapters.
   */
  readonly rank: number | null;
  /** The different ranks of all passes, largest first; none without adapters. */
  readonly ranks: readonly number[];
}

/**
 * Which parts of a step run at which ranks: a micro batch goes through the model once, its parts at ranks and
 * weights of their own, unless they run more than once.
 * A bare model has none; `sampler` null: always the largest rank, as ordinary LoRA does.
 */
export function passesOfStep(
  step: number,
  batches: readonly TokenBatch[],
  model: Adapted<LossModel> | LossModel,
  sampler: RankSampler | null,
): StepPlan {
  if (!isAdapted(model))
    return {
      passes: batches.map((batch) => ({ view: { model, active: null }, batch })),
      rows: null,
      rank: null,
      ranks: [],
    };
  const { ranks, config } = model;
  const turns = sampler
    ? turnsOfStep(step, batches, sampler)
    : batches.map((batch) => ({ batch, parts: [{ batch, rank: ranks.maxRank }] }));
  const partRanks = turns.flatMap(({ parts }) => parts.map(({ rank }) => rank));
  const [firstRank] = partRanks;
  const weightOf = (rank: number): number | undefined => sampler?.lossWeightOf(rank);
  const passes = turns.flatMap(({ batch, parts }): Pass[] => {
    const tokens = parts.reduce((sum, part) => sum + part.batch.ids.length, 0);
    if (tokens > batch.ids.length)
      return parts.map((part) => ({
        view: model.atRank(part.rank),
        batch: part.batch,
        weight: weightOf(part.rank),
      }));
    const weight = weightOf(parts[0]!.rank);
    const isAlike = parts.every(({ rank }) => weightOf(rank) === weight);
    const ends = endsOf(parts);
    return [
      isAlike
        ? { view: model.atRanks(ends), batch, weight }
        : { view: model.atRanks(ends.map((part) => ({ ...part, weight: weightOf(part.rank) }))), batch },
    ];
  });
  return {
    passes,
    rows: updatedRows(config.updateRule, ranks, partRanks),
    rank:
      firstRank !== undefined && partRanks.every((rank) => rank === firstRank)
        ? firstRank
        : (sampler?.rankAt(step) ?? ranks.maxRank),
    ranks: [...new Set(partRanks)].sort((a, b) => b - a),
  };
}

export const isAdapted = (model: Adapted<LossModel> | LossModel): model is Adapted<LossModel> =>
  'atRank' in model;

/** Parts that take turns where a step is one part: in a sandwich, the largest and the drawn rank. */
const FEWEST_TURNS = 2;

/** Some examples of a micro batch at a rank. */
interface Part {
  readonly batch: TokenBatch;
  readonly rank: number;
}

/**
 * The parts of each micro batch. A step of one part (a single example, which cannot be cut, or one micro
 * batch that is not to be) would cost as much again for each rank that it runs at: there the parts take turns
 * over the steps.
 */
function turnsOfStep(
  step: number,
  batches: readonly TokenBatch[],
  sampler: RankSampler,
): { readonly batch: TokenBatch; readonly parts: readonly Part[] }[] {
  const segments = sampler.segmentsOf(batches.length);
  const cut = batches.map((batch) =>
    splitBatch(batch, Math.max(1, Math.min(segments, batch.segments.length - 1))),
  );
  const count = cut.reduce((sum, { length }) => sum + length, 0);
  const turns = count === 1 ? Math.max(segments, FEWEST_TURNS) : 0;
  let part = 0;
  return cut.map((pieces, i) => ({
    batch: batches[i]!,
    parts: pieces.flatMap((batch) => {
      const at = part++;
      return sampler
        .ranksOfPart(step, turns ? step % turns : at, turns || count)
        .map((rank) => ({ batch, rank }));
    }),
  }));
}

/** Up to which token of their micro batch each part goes. */
function endsOf(parts: readonly Part[]): { until: number; rank: number }[] {
  let until = 0;
  return parts.map(({ batch, rank }) => ({ until: (until += batch.ids.length), rank }));
}
