import type { TokenBatch } from '@qdylora/data';
import { updatedRows, type Adapted, type LevelSampler, type RankSampler } from '@qdylora/lora-dynamic';
import type { RowRange } from '../optimizers/optimizer.ts';
import type { Pass, PassDistillation } from './run-pass.ts';
import type { LossModel } from './loss-model.ts';
import { splitBatch } from './split-batch.ts';

/** The passes of one optimizer step, and what it may change. */
export interface StepPlan {
  readonly passes: readonly Pass[];
  /** The index of the micro batch that each pass is a part of: [passes] */
  readonly batchOfPass: readonly number[];
  /** Rows that the optimizer may touch; null: all rows of every parameter. */
  readonly rows: readonly RowRange[] | null;
  /**
   * The drawn rank of the step, or that of its first pass where no pass has the drawn one; null without
   * adapters.
   */
  readonly rank: number | null;
  /** All ranks of the passes, the largest first; empty without adapters. */
  readonly ranks: readonly number[];
}

/** What a step trains besides its ranks. */
export interface StepPlanOptions {
  /** Quantization level of all passes, in bits a weight; 4 by default. Only of an adapted model. */
  readonly level?: number | undefined;
  /** Level of a further pass that learns from the largest rank; where it is `level`, the default: none. */
  readonly studentLevel?: number | undefined;
  /** All passes run at the largest rank, with the weight that the sampler gives it; false by default. */
  readonly isWide?: boolean;
}

/** The quantization levels of a step's passes, as `passesOfStep` takes them; none without a sampler. */
export const levelsOfStep = (
  levels: LevelSampler | null | undefined,
  step: number,
  plateaus = 0,
): StepPlanOptions => ({
  level: levels?.levelAt(step, plateaus),
  studentLevel: levels?.studentLevelAt?.(step),
});

/**
 * Plans which parts of a step's micro batches run at which ranks. The parts of one micro batch go through the
 * model in one pass, each with its own rank and weight, except where the schedule runs a part at several
 * ranks.
 *
 * With distillation a part with two ranks runs twice, at the first one and then at the second one, which
 * learns from the first. Where `studentLevel` is not that of the step, the part runs once more, at that level
 * and the step's drawn rank, and learns from the first too.
 *
 * A model without adapters has no ranks. `sampler` null: always the largest rank, as in ordinary LoRA.
 */
export function passesOfStep(
  step: number,
  batches: readonly TokenBatch[],
  model: Adapted<LossModel> | LossModel,
  sampler: RankSampler | null,
  { level, studentLevel = level, isWide = false }: StepPlanOptions = {},
): StepPlan {
  if (!isAdapted(model)) {
    const passes = batches.map((batch) => ({ view: { model, active: null }, batch }));
    return { passes, batchOfPass: [...passes.keys()], rows: null, rank: null, ranks: [] };
  }
  const { ranks, config } = model;
  const drawing = isWide ? null : sampler;
  const rankedBatches = drawing
    ? rankBatches(step, batches, drawing, { level, studentLevel })
    : batches.map((batch) => ({ batch, parts: [{ batch, rank: ranks.maxRank, level }] }));
  const partRanks = rankedBatches.flatMap(({ parts }) => parts.map(({ rank }) => rank));
  const drawnRank = drawing?.rankAt(step) ?? ranks.maxRank;
  const passes = rankedBatches.map((rankedBatch) => passesOfBatch(rankedBatch, model, sampler));
  return {
    passes: passes.flat(),
    batchOfPass: passes.flatMap((ofBatch, index) => ofBatch.map(() => index)),
    rows: updatedRows(config.updateRule, ranks, partRanks),
    rank: partRanks.includes(drawnRank) ? drawnRank : (partRanks.at(0) ?? drawnRank),
    ranks: [...new Set(partRanks)].sort((a, b) => b - a),
  };
}

export const isAdapted = (model: Adapted<LossModel> | LossModel): model is Adapted<LossModel> =>
  'atRank' in model;

/** Some examples of a micro batch, and the rank and level that they run at. */
interface Part {
  readonly batch: TokenBatch;
  readonly rank: number;
  readonly level: number | undefined;
  /** Factor on the weight of its rank; 1 by default. */
  readonly weight?: number;
  readonly distillation?: PassDistillation;
}

interface RankedBatch {
  readonly batch: TokenBatch;
  readonly parts: readonly Part[];
}

/** One pass for the whole micro batch; one for each part where the parts have more tokens than the batch. */
function passesOfBatch(
  { batch, parts }: RankedBatch,
  model: Adapted<LossModel>,
  sampler: RankSampler | null,
): Pass[] {
  const weightOf = (rank: number): number | undefined => sampler?.lossWeightOf(rank);
  const tokens = parts.reduce((sum, part) => sum + part.batch.ids.length, 0);
  if (tokens > batch.ids.length)
    return parts.map((part) => ({
      view: model.atRank(part.rank, { level: part.level }),
      batch: part.batch,
      weight: part.weight ? part.weight * (weightOf(part.rank) ?? 1) : weightOf(part.rank),
      ...(part.distillation && { distillation: part.distillation }),
    }));
  const [{ rank: firstRank, level }] = parts;
  const weight = weightOf(firstRank);
  const ends = endsOf(parts);
  if (parts.every(({ rank }) => weightOf(rank) === weight))
    return [{ view: model.atRanks(ends, { level }), batch, weight }];
  const weighted = ends.map((part) => ({ ...part, weight: weightOf(part.rank) }));
  return [{ view: model.atRanks(weighted, { level }), batch }];
}

/** Up to which token of their micro batch each part goes. */
function endsOf(parts: readonly Part[]): { until: number; rank: number }[] {
  let until = 0;
  return parts.map(({ batch, rank }) => ({ until: (until += batch.ids.length), rank }));
}

/** A micro batch is cut between its examples. */
const partsOf = ({ segments }: TokenBatch, atMost: number): number =>
  Math.max(1, Math.min(atMost, segments.length - 1));

/** Whether the micro batches of a step are one part. Its ranks take turns over the steps then. */
export const isOnePart = (batches: readonly TokenBatch[], sampler: RankSampler): boolean =>
  batches.length === 1 && partsOf(batches[0], sampler.segmentsOf(1)) === 1;

/** Steps over which the parts take turns, at least, where a step is one part: largest and drawn rank. */
const FEWEST_TURNS = 2;

/**
 * Cuts micro batches into parts and gives each its ranks. A step of a single part (one example, which cannot
 * be cut, or one micro batch with `segments: 1`) would cost as much again for each rank that it runs at:
 * there the ranks take turns over the steps.
 */
function rankBatches(
  step: number,
  batches: readonly TokenBatch[],
  sampler: RankSampler,
  levels: StepPlanOptions,
): RankedBatch[] {
  const segments = sampler.segmentsOf(batches.length);
  const pieces = batches.map((batch) => splitBatch(batch, partsOf(batch, segments)));
  const pieceCount = pieces.reduce((sum, { length }) => sum + length, 0);
  const turns = isOnePart(batches, sampler) ? Math.max(segments, FEWEST_TURNS) : 0;
  let index = 0;
  return batches.map((batch, i) => ({
    batch,
    parts: pieces[i].flatMap((piece) => {
      const part = turns ? step % turns : index;
      index++;
      const ranks = sampler.ranksOfPart(step, part, turns || pieceCount);
      const runs = ranks.map((rank) => ({ batch: piece, rank, level: levels.level }));
      return distilled(runs, sampler, { level: levels.studentLevel, drawnRank: sampler.rankAt(step) });
    }),
  }));
}

/**
 * Weight of the gradient of a pass at another level. At 1 several levels cost 4 bits 0.001 to 0.006, at 0.3
 * about 0.001 (SmolLM2-135M on GSM8K; docs/research/every-rank.md).
 */
const OTHER_LEVEL_WEIGHT = 0.3;

/**
 * The runs of one part. With distillation, the second of two learns from the first. So does a third one where
 * students have another level in this step: it is at the step's drawn rank, and its gradient counts less.
 */
function distilled(
  runs: readonly Part[],
  { distillation }: RankSampler,
  { level, drawnRank }: { readonly level: number | undefined; readonly drawnRank: number },
): readonly Part[] {
  if (!distillation || runs.length !== 2) return runs;
  const { topK, weight } = distillation;
  const [teacher, student] = runs;
  const atLevel = { ...student, rank: drawnRank, level, weight: OTHER_LEVEL_WEIGHT };
  const students = level === teacher.level ? [student] : [student, atLevel];
  return [
    { ...teacher, distillation: { role: 'teacher', topK } },
    ...students.map((each): Part => ({ ...each, distillation: { role: 'student', topK, weight } })),
  ];
}
