import type { TokenBatch } from '@qdylora/data';
import { updatedRows, type Adapted, type LevelSampler, type RankSampler } from '@qdylora/lora-dynamic';
import type { RowRange } from '../optimizers/optimizer.ts';
import type { Pass, PassDistillation } from './run-pass.ts';
import type { LossModel } from './loss-model.ts';
import { splitBatch } from './split-batch.ts';

/** The passes of one optimizer step, and the rows that it may change. */
export interface StepPlan {
  readonly passes: readonly Pass[];
  /** The index of the micro batch that each pass is a part of: [passes] */
  readonly batchOfPass: readonly number[];
  /** Rows that the optimizer may change; null: all rows of every parameter. */
  readonly rows: readonly RowRange[] | null;
  /** The drawn rank of the step, or that of its first pass if no pass has it; null without adapters. */
  readonly rank: number | null;
  /** All ranks of the passes, the largest first; empty without adapters. */
  readonly ranks: readonly number[];
}

/** A model to train, and how the ranks of its adapters are drawn. */
export interface SampledModel {
  readonly model: Adapted<LossModel> | LossModel;
  /** null: always the largest rank, as in ordinary LoRA. */
  readonly sampler: RankSampler | null;
}

/** Options of a step's plan besides its ranks. */
export interface StepPlanOptions {
  /** Quantization level of all passes, in bits per weight; 4 by default. Only for an adapted model. */
  readonly level?: number | undefined;
  /** Level of an extra pass that learns from the largest rank. If it equals `level`, the default: no pass. */
  readonly studentLevel?: number | undefined;
  /** All passes run at the largest rank, with the weight that the sampler gives it; false by default. */
  readonly isWide?: boolean;
}

/** The quantization levels of a step, as options of `passesOfStep`; undefined levels without a sampler. */
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
 * model in one pass, each with its own rank and weight, unless the schedule runs a part at several ranks.
 *
 * With distillation a part with two ranks runs twice: first at the first rank, then at the second one, which
 * learns from the first. If `studentLevel` differs from `level`, the part runs a third time, at that level
 * and the step's drawn rank, and learns from the first as well.
 *
 * A model without adapters has no ranks.
 */
export function passesOfStep(
  step: number,
  batches: readonly TokenBatch[],
  { model, sampler }: SampledModel,
  { level, studentLevel = level, isWide = false }: StepPlanOptions = {},
): StepPlan {
  if (!isAdapted(model)) {
    const passes = batches.map((batch) => ({ view: { model, active: null }, batch }));
    return { passes, batchOfPass: [...passes.keys()], rows: null, rank: null, ranks: [] };
  }
  const { ranks, config } = model;
  const drawing = isWide ? null : sampler;
  const rankedBatches = drawing
    ? rankBatches(batches, drawing, { step, level, studentLevel })
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

/** One pass for the whole micro batch; one for each part if the parts have more tokens than the batch. */
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

/** The end of each part, as a token of the micro batch. */
function endsOf(parts: readonly Part[]): { until: number; rank: number }[] {
  let until = 0;
  return parts.map(({ batch, rank }) => ({ until: (until += batch.ids.length), rank }));
}

/** Number of parts of a micro batch, which is cut between its examples. */
const partsOf = ({ segments }: TokenBatch, atMost: number): number =>
  Math.max(1, Math.min(atMost, segments.length - 1));

/** Whether a step has only one part. Its ranks then take turns over consecutive steps. */
export const isOnePart = (batches: readonly TokenBatch[], sampler: RankSampler): boolean =>
  batches.length === 1 && partsOf(batches[0], sampler.segmentsOf(1)) === 1;

/**
 * Minimum number of consecutive steps that take the roles of parts: the largest rank, then the drawn rank.
 */
const MIN_TURNS = 2;

/**
 * Cuts micro batches into parts and gives each part its ranks. A step that has only one part (one example, or
 * one micro batch with `segments: 1`) cannot train several ranks at no extra cost, so consecutive steps take
 * the roles of the parts in turn.
 */
function rankBatches(
  batches: readonly TokenBatch[],
  sampler: RankSampler,
  { step, level, studentLevel }: StepPlanOptions & { readonly step: number },
): RankedBatch[] {
  const segments = sampler.segmentsOf(batches.length);
  const pieces = batches.map((batch) => splitBatch(batch, partsOf(batch, segments)));
  const pieceCount = pieces.reduce((sum, { length }) => sum + length, 0);
  const isSinglePart = isOnePart(batches, sampler);
  const turns = Math.max(segments, MIN_TURNS);
  const partCount = isSinglePart ? turns : pieceCount;
  let index = 0;
  return batches.map((batch, i) => ({
    batch,
    parts: pieces[i].flatMap((piece) => {
      const part = isSinglePart ? step % turns : index;
      index++;
      const ranks = sampler.ranksOfPart(step, part, partCount);
      const runs = ranks.map((rank) => ({ batch: piece, rank, level }));
      return distilled(runs, sampler, { level: studentLevel, drawnRank: sampler.rankAt(step) });
    }),
  }));
}

/**
 * Weight of the gradient of a pass at another level. Training several levels raised the loss at 4 bits by
 * 0.001 to 0.006 with weight 1, and by about 0.001 with 0.3 (SmolLM2-135M on GSM8K;
 * docs/research/how-the-default-was-found.md).
 */
const OTHER_LEVEL_WEIGHT = 0.3;

/**
 * The runs of one part. With distillation, the second of two learns from the first. If students have another
 * level in this step, a third one does so too, at the step's drawn rank, and its gradient has less weight.
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
