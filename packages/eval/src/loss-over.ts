import { checkOptions } from '@qdylora/contract';
import type { Example } from '@qdylora/data';
import { assertRankView } from '@qdylora/tensor';
import type { EvalView } from './eval-model.ts';
import { MEASURE_RULES, type MeasureOptions } from './eval-task.ts';
import type { ExampleLosses } from './example-losses.ts';
import { perplexity, PERPLEXITY_RULES, type PerplexityOptions } from './perplexity.ts';
import { ratioEstimate } from './statistics/ratio-estimate.ts';

/** The loss of one view over a set of examples, with its standard error. */
export interface LossReport {
  /** Mean over all counted tokens, in nats. */
  readonly loss: number;
  /** exp(loss) */
  readonly perplexity: number;
  /** Counted tokens. */
  readonly tokens: number;
  /** Standard error of `loss`, clustered by example; NaN for fewer than two examples. */
  readonly standardError: number;
  /** Summed loss and counted tokens of each example, for paired comparisons. */
  readonly perExample: ExampleLosses;
}

/**
 * Loss and perplexity of one view over examples: Σ losses / Σ counted tokens, with its standard error
 * (`ratioEstimate`).
 *
 * @throws QdyloraError BAD_DATA if no token is counted; BAD_ARGUMENT for a view without a rank, values
 * that are not examples, and unknown or wrong options; ABORTED if the signal fires
 * @example
 * const { loss, standardError } = await lossOver(adapted.atRank(8), heldOut);
 */
export async function lossOver(
  view: EvalView,
  examples: readonly Example[],
  options: PerplexityOptions & MeasureOptions = {},
): Promise<LossReport> {
  assertRankView('loss-over', view);
  checkOptions('loss-over', options, { ...PERPLEXITY_RULES, ...MEASURE_RULES });
  const { tokensPerBatch, ...measureOptions } = options;
  const task = perplexity(examples, { tokensPerBatch });
  const [perExample] = await task.measure([view], measureOptions);
  const { mean, standardError } = ratioEstimate(perExample!);
  return {
    loss: mean,
    perplexity: Math.exp(mean),
    tokens: perExample!.counts.reduce((sum, count) => sum + count, 0),
    standardError,
    perExample: perExample!,
  };
}
