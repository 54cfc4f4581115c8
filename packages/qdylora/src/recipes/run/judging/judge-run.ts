import { QdyloraError } from '@qdylora/contract';
import type { Example } from '@qdylora/data';
import {
  aurac,
  lossOver,
  perplexity,
  sweepLevels,
  sweepRanks,
  type EvalTask,
  type ExampleLosses,
  type LevelReport,
  type MeasureOptions,
  type RankReport,
} from '@qdylora/eval';
import { anchorLevel, modelAtLevel } from '@qdylora/lora-dynamic';
import type { EvaluateOptions, RankLoss } from '@qdylora/trainer';
import { JUDGED_TOKENS } from './judged-tokens.ts';
import type { Judgement } from './judgement.ts';
import type { ModelToTrain } from '../assemble-run.ts';
import type { OpenedRun } from '../opened-run.ts';
import { hashOfExamples } from '../tokens-hash.ts';
import type { RunSession } from '../run-session.ts';

/**
 * Evaluates the trained weights. The newest result is kept, so the report needs no second pass over the data.
 */
export interface Judge {
  /** Evaluates the weights now. If `step` was evaluated last, returns that result. */
  at(step: number, signal?: AbortSignal): Promise<Judgement>;
  /** The same, with the grid of ranks and quantization levels where the run has several levels. */
  atEnd(step: number, signal?: AbortSignal): Promise<Judgement>;
  /** The evaluation for the trainer: at all ranks, or at some, whose losses are not kept. */
  forTrainer(
    options: Pick<EvaluateOptions, 'every' | 'beforeFirstStep'> & { ranks: readonly number[] | null },
  ): EvaluateOptions;
}

/** The judge of a run, which emits progress; null where no row is held out. Workers share its passes. */
export const judgeOf = (
  { config: { computeDtype, quantizationLevels }, data: { heldOut }, run }: OpenedRun,
  { emit, workers }: RunSession,
): Judge | null =>
  heldOut.length === 0
    ? null
    : createJudge(run, heldOut, {
        computeDtype,
        tokensPerBatch: JUDGED_TOKENS,
        levels: quantizationLevels,
        workers,
        onProgress: (progress) => emit({ type: 'phase', phase: 'judging', ...progress }),
      });

interface JudgeOptions extends Omit<MeasureOptions, 'signal'> {
  readonly tokensPerBatch: number;
  /** Quantization levels of the run. Losses between steps are those of the anchor. */
  readonly levels: readonly number[];
}

/** @param heldOut rows; none of them may be trained on */
function createJudge(
  { model, adapted }: ModelToTrain,
  heldOut: readonly Example[],
  { tokensPerBatch, levels, ...measuring }: JudgeOptions,
): Judge {
  const task = perplexity(heldOut, { tokensPerBatch });
  const level = anchorLevel(levels);
  const base = { model: modelAtLevel(model, level), active: null };
  const atRank: AtLevel = (rank, bits) => adapted!.atRank(rank, { level: bits });
  const atAnchor = (rank: number) => atRank(rank, level);
  let newest: { readonly step: number; readonly judgement: Judgement } | null = null;
  let baseLoss: number | null = null; // the base is frozen: measured once

  async function judge(signal?: AbortSignal): Promise<Judgement> {
    const options = stoppable(measuring, signal);
    if (!adapted) return judgeWhole(base, heldOut, { ...options, tokensPerBatch });
    return { ...(await sweepKeeping(atAnchor, adapted.ranks, task, options)), whole: null };
  }

  async function at(step: number, signal?: AbortSignal): Promise<Judgement> {
    if (newest?.step !== step) newest = { step, judgement: await judge(signal) };
    return newest.judgement;
  }

  async function atFewRanks(
    ranks: readonly number[],
    signal?: AbortSignal,
  ): ReturnType<EvaluateOptions['run']> {
    const options = stoppable(measuring, signal);
    baseLoss ??= (await lossOver(base, heldOut, { ...options, tokensPerBatch })).loss;
    const sweep = await sweepRanks(atAnchor, ranks, task, { ...options, base: null });
    const gains = sweep.ranks.map(({ loss }) => baseLoss! - loss);
    return { byRank: rankLosses(sweep), aurac: aurac(ranks, gains, 'log2') };
  }

  async function atEnd(step: number, signal?: AbortSignal): Promise<Judgement> {
    const judgement = await at(step, signal);
    if (!adapted || levels.length === 1) return judgement;
    const grid = { ranks: adapted.ranks, levels: levels.filter((bits) => bits !== level) };
    const others = await sweepLevels(atRank, grid, task, stoppable(measuring, signal));
    return { ...judgement, levels: rising([{ level, report: judgement.ranks! }, ...others]) };
  }

  return {
    at,
    atEnd,
    forTrainer: ({ ranks: fewRanks, ...moments }) => ({
      ...moments,
      measures: [hashOfExamples(heldOut), ...(fewRanks ?? adapted?.ranks ?? [])].join(' '),
      run: ({ step, signal }) =>
        orNaN(fewRanks ?? adapted?.ranks.ranks, async () => {
          if (adapted && fewRanks) return atFewRanks(fewRanks, signal);
          const { ranks, whole } = await at(step, signal);
          if (!ranks) return { byRank: [{ rank: null, loss: whole!.loss }], aurac: null };
          return { byRank: rankLosses(ranks), aurac: ranks.aurac };
        }),
    }),
  };
}

type Evaluation = Awaited<ReturnType<EvaluateOptions['run']>>;

/** Losses of NaN where no rank has a finite one: a run may recover, or too many bad steps end it. */
async function orNaN(
  ranks: readonly number[] | undefined,
  measure: () => Promise<Evaluation>,
): Promise<Evaluation> {
  try {
    return await measure();
  } catch (error) {
    if (!ranks || !QdyloraError.isInstance(error) || error.code !== 'NON_FINITE') throw error;
    return { byRank: ranks.map((rank) => ({ rank, loss: NaN })), aurac: NaN };
  }
}

async function judgeWhole(
  ...[view, heldOut, options]: Required<Parameters<typeof lossOver>>
): Promise<Judgement> {
  const { perExample, ...measured } = await lossOver(view, heldOut, options);
  const examples = perExample.counts.filter((count) => count > 0).length;
  return { ranks: null, rankLosses: [], whole: { ...measured, examples } };
}

/** Where one worker leaves an evaluation, the others would wait for it: with workers it goes to its end. */
const stoppable = (options: MeasureOptions, signal?: AbortSignal): MeasureOptions => ({
  ...options,
  signal: options.workers ? undefined : signal,
});

const rankLosses = ({ ranks }: RankReport): RankLoss[] => ranks.map(({ rank, loss }) => ({ rank, loss }));

const rising = (reports: readonly LevelReport[]): LevelReport[] =>
  [...reports].sort((a, b) => a.level - b.level);

type AtLevel = Parameters<typeof sweepLevels>[0];

/** A sweep over the ranks, and the losses of every row at each of them. */
async function sweepKeeping(
  ...[atRank, ranks, task, options]: Required<Parameters<typeof sweepRanks>>
): Promise<Pick<Judgement, 'ranks' | 'rankLosses'>> {
  let results: readonly ExampleLosses[] = [];
  const keepingTask: EvalTask = {
    name: task.name,
    async measure(views, measureOptions) {
      results = await task.measure(views, measureOptions);
      return [...results];
    },
  };
  const report = await sweepRanks(atRank, ranks, keepingTask, options);
  // the last result is that of the base
  return { ranks: report, rankLosses: report.ranks.map(({ rank }, i) => ({ rank, losses: results[i] })) };
}
