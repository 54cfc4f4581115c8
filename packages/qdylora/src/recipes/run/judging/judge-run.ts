import { JUDGED_TOKENS } from './judged-tokens.ts';
import type { Example } from '@qdylora/data';
import {
  aurac,
  lossOver,
  perplexity,
  sweepRanks,
  type EvalTask,
  type ExampleLosses,
  type MeasureOptions,
  type RankReport,
} from '@qdylora/eval';
import type { EvaluateOptions, RankLoss } from '@qdylora/trainer';
import type { Judgement } from './judgement.ts';
import type { ModelToTrain } from '../assemble-run.ts';
import type { OpenedRun } from '../opened-run.ts';
import type { RunSession } from '../run-session.ts';

/**
 * Evaluates the trained weights. The newest result is kept, so the report needs no second pass over the data.
 */
export interface Judge {
  /** Evaluates the weights now. If `step` was evaluated last, returns that result. */
  at(step: number, signal?: AbortSignal): Promise<Judgement>;
  /** The evaluation for the trainer: at all ranks, or at some, whose losses are not kept. */
  forTrainer(
    options: Pick<EvaluateOptions, 'every' | 'beforeFirstStep'> & { ranks: readonly number[] | null },
  ): EvaluateOptions;
}

/** The judge of a run, which emits progress; null where no row is held out. */
export const judgeOf = (
  { config: { computeDtype }, data: { heldOut }, run }: OpenedRun,
  { emit }: RunSession,
): Judge | null =>
  heldOut.length === 0
    ? null
    : createJudge(run, heldOut, {
        computeDtype,
        tokensPerBatch: JUDGED_TOKENS,
        onProgress: (progress) => emit({ type: 'phase', phase: 'judging', ...progress }),
      });

export interface JudgeOptions extends Omit<MeasureOptions, 'signal'> {
  readonly tokensPerBatch: number;
}

/** @param heldOut rows; none of them may be trained on */
export function createJudge(
  { model, adapted }: ModelToTrain,
  heldOut: readonly Example[],
  { tokensPerBatch, ...measuring }: JudgeOptions,
): Judge {
  const task = perplexity(heldOut, { tokensPerBatch });
  const base = { model, active: null };
  let newest: { readonly step: number; readonly judgement: Judgement } | null = null;
  let baseLoss: number | null = null; // the base is frozen: measured once

  async function judge(signal?: AbortSignal): Promise<Judgement> {
    const options = { ...measuring, signal };
    if (!adapted) {
      const whole = await lossOver(base, heldOut, { ...options, tokensPerBatch });
      return { ranks: null, rankLosses: [], whole };
    }
    const results: ExampleLosses[] = [];
    const keepingTask: EvalTask = {
      name: task.name,
      async measure(views, measureOptions) {
        results.push(...(await task.measure(views, measureOptions)));
        return results;
      },
    };
    const ranks = await sweepRanks((rank) => adapted.atRank(rank), adapted.ranks, keepingTask, options);
    // the last result is that of the base
    const rankLosses = ranks.ranks.map(({ rank }, i) => ({ rank, losses: results[i] }));
    return { ranks, rankLosses, whole: null };
  }

  async function at(step: number, signal?: AbortSignal): Promise<Judgement> {
    if (newest?.step !== step) newest = { step, judgement: await judge(signal) };
    return newest.judgement;
  }

  async function atFewRanks(
    ranks: readonly number[],
    signal?: AbortSignal,
  ): ReturnType<EvaluateOptions['run']> {
    const options = { ...measuring, signal };
    baseLoss ??= (await lossOver(base, heldOut, { ...options, tokensPerBatch })).loss;
    const sweep = await sweepRanks((rank) => adapted!.atRank(rank), ranks, task, { ...options, base: null });
    const gains = sweep.ranks.map(({ loss }) => baseLoss! - loss);
    return { byRank: rankLosses(sweep), aurac: aurac(ranks, gains, 'log2') };
  }

  return {
    at,
    forTrainer: ({ ranks: fewRanks, ...moments }) => ({
      ...moments,
      async run({ step, signal }) {
        if (adapted && fewRanks) return atFewRanks(fewRanks, signal);
        const { ranks, whole } = await at(step, signal);
        if (!ranks) return { byRank: [{ rank: null, loss: whole!.loss }], aurac: null };
        return { byRank: rankLosses(ranks), aurac: ranks.aurac };
      },
    }),
  };
}

const rankLosses = ({ ranks }: RankReport): RankLoss[] => ranks.map(({ rank, loss }) => ({ rank, loss }));
