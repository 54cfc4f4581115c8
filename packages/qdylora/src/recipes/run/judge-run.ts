import type { Example } from '@qdylora/data';
import {
  aurac,
  lossOver,
  perplexity,
  sweepRanks,
  type MeasureOptions,
  type MeasuredLoss,
  type RankReport,
} from '@qdylora/eval';
import type { Adapted } from '@qdylora/lora-dynamic';
import type { CausalLm } from '@qdylora/models';
import type { EvaluateOptions } from '@qdylora/trainer';

/** Held-out losses of a run: of every rank, or of the one model that full training has. */
export interface Judgement {
  readonly ranks: RankReport | null;
  readonly whole: MeasuredLoss | null;
}

/**
 * Judges what is trained, and remembers the newest judgement, so that the report needs no second walk over
 * the data.
 */
export interface Judge {
  readonly newest: { readonly step: number; readonly judgement: Judgement } | null;
  /** Judges now, or takes what it knows of `step`. */
  at(step: number, options: MeasureOptions): Promise<Judgement>;
  /**
   * The same as the trainer asks for it: at all ranks, or at a chosen few, of which nothing is remembered but
   * the base's loss.
   */
  forTrainer(
    every: number,
    options: MeasureOptions & { readonly ranks?: readonly number[] | null },
  ): EvaluateOptions;
}

/**
 * Tokens of one judging pass: half of what is fastest, so that judging needs no memory beyond a training
 * step's.
 */
export const JUDGED_TOKENS = 1024;

/**
 * @param tokensPerBatch tokens of one pass: no more than a training pass has, so that judging needs no more
 * memory
 */
export function createJudge(
  model: CausalLm,
  adapted: Adapted<CausalLm> | null,
  heldOut: readonly Example[],
  tokensPerBatch: number,
): Judge {
  let newest: Judge['newest'] = null;
  const judge = async (options: MeasureOptions): Promise<Judgement> => {
    if (!adapted)
      return {
        ranks: null,
        whole: await lossOver({ model, active: null }, heldOut, { ...options, tokensPerBatch }),
      };
    return {
      ranks: await sweepRanks(
        (rank) => adapted.atRank(rank),
        adapted.ranks,
        perplexity(heldOut, { tokensPerBatch }),
        options,
      ),
      whole: null,
    };
  };
  const at: Judge['at'] = async (step, options) => {
    if (newest?.step !== step) newest = { step, judgement: await judge(options) };
    return newest.judgement;
  };
  let baseLoss: number | null = null; // the base is frozen: once is enough
  const atFew = async (
    few: Adapted<CausalLm>,
    ranks: readonly number[],
    options: MeasureOptions,
  ): ReturnType<EvaluateOptions['run']> => {
    baseLoss ??= (await lossOver({ model, active: null }, heldOut, { ...options, tokensPerBatch })).loss;
    const report = await sweepRanks(
      (rank) => few.atRank(rank),
      ranks,
      perplexity(heldOut, { tokensPerBatch }),
      { ...options, base: null },
    );
    const byRank = report.ranks.map(({ rank, loss }) => ({ rank, loss }));
    return {
      byRank,
      aurac: aurac(
        ranks,
        byRank.map(({ loss }) => baseLoss! - loss),
        'log2',
      ),
    };
  };
  return {
    get newest() {
      return newest;
    },
    at,
    forTrainer: (every, { ranks: few, ...options }) => ({
      every,
      async run({ step, signal }) {
        if (adapted && few) return atFew(adapted, few, { ...options, signal });
        const { ranks, whole } = await at(step, { ...options, signal });
        return {
          byRank: ranks?.ranks.map(({ rank, loss }) => ({ rank, loss })) ?? [
            { rank: null, loss: whole!.loss },
          ],
          aurac: ranks?.aurac ?? null,
        };
      },
    }),
  };
}
