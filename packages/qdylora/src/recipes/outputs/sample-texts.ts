import { setImmediate } from 'node:timers/promises';
import { NOT_COUNTED, type Example, type Tokenizer } from '@qdylora/data';
import type { Adapted } from '@qdylora/lora-dynamic';
import { generate, type CausalLm } from '@qdylora/models';
import type { ComputeDtype } from '@qdylora/tensor';
import { stopIdsOf } from './stop-ids.ts';
import type { ReportSamples } from '../../report/report-data.ts';

/** Long enough to see whether an answer makes sense. */
const NEW_TOKENS = 64;
/** Tokens of the prompt, where a row is all answer (plain text). */
const PROMPT_TOKENS = 24;
/** An answer that is shorter shows nothing: where the model has too few positions, the prompt is cut. */
const LEAST_NEW_TOKENS = 16;

/** Texts for a report. `isCut`: an abort came before the last of them; unfinished texts are left out. */
export interface Samples {
  readonly samples: ReportSamples;
  readonly isCut: boolean;
}

export interface SampleOptions {
  readonly tokenizer: Tokenizer | null;
  readonly stopIds: readonly number[];
  readonly example: Example | undefined;
  readonly ranks: readonly number[];
  /** Quantization level of the base, in bits a weight. */
  readonly level: number;
  readonly computeDtype: ComputeDtype;
  readonly signal?: AbortSignal;
}

/**
 * Greedy answers to one held-out (else training) prompt at a small, a middle and the largest rank; or the
 * reason why there are none. An abort ends only them: they are the last and least part of a run.
 */
export async function sampleTexts(
  model: CausalLm,
  adapted: Adapted<CausalLm> | null,
  { tokenizer, stopIds, example, ranks, level, computeDtype, signal }: SampleOptions,
): Promise<Samples> {
  const none = (missing: string, isCut = false): Samples => ({ samples: { missing }, isCut });
  if (!tokenizer) return none('The model has no tokenizer, so its tokens cannot be shown as text.');
  if (!example) return none('There is no row to take a prompt from.');
  const { prompt: whole, answer } = cutAtAnswer(example);
  if (whole.length === 0) return none('The row has no tokens before its answer.');
  const { prompt, maxNewTokens } = withinPositions(whole, model.config.positionLimit);
  if (maxNewTokens === 0) return none('The model has too few positions for a prompt and an answer.');
  const views = adapted
    ? ranks.map((rank) => ({ rank, ...adapted.atRank(rank, { level }) }))
    : [{ rank: null, model, active: null }];
  const byRank: { rank: number | null; text: string }[] = [];
  for (const view of views) {
    const ids = await answerOf(
      generate(view, prompt, {
        maxNewTokens,
        stopIds: stopIdsOf(stopIds, tokenizer),
        computeDtype,
      }),
      signal,
    );
    if (!ids) break;
    byRank.push({ rank: view.rank, text: tokenizer.decode(ids) });
  }
  if (byRank.length === 0) return none('The run was stopped before the first of them was written.', true);
  return {
    samples: {
      prompts: [
        {
          prompt: tokenizer.decode(prompt),
          expected: tokenizer.decode(answer, { skipSpecialTokens: true }),
          byRank,
        },
      ],
    },
    isCut: byRank.length < views.length,
  };
}

/** A whole answer; null after an abort. */
async function answerOf(
  tokens: AsyncIterable<number>,
  signal: AbortSignal | undefined,
): Promise<number[] | null> {
  const ids: number[] = [];
  if (signal?.aborted) return null;
  for await (const id of tokens) {
    ids.push(id);
    await setImmediate(); // lets an abort through
    if (signal?.aborted) return null;
  }
  return ids;
}

/** The end of the prompt, and as many new tokens as the model has positions for. */
function withinPositions(whole: Int32Array, limit: number): { prompt: Int32Array; maxNewTokens: number } {
  const prompt = whole.subarray(-Math.max(1, limit - LEAST_NEW_TOKENS));
  return { prompt, maxNewTokens: Math.max(0, Math.min(NEW_TOKENS, limit - prompt.length)) };
}

/** What the model is told, and what should follow. */
function cutAtAnswer({ ids, labels }: Example): { prompt: Int32Array; answer: Int32Array } {
  const first = labels.findIndex((label, t) => t > 0 && label !== NOT_COUNTED);
  const at = first > 1 ? first : Math.min(PROMPT_TOKENS, ids.length - 1);
  return { prompt: ids.subarray(0, at), answer: ids.subarray(at, at + NEW_TOKENS) };
}

/** Three ranks to compare: the smallest, the chosen or middle one, and the largest. */
export function sampleRanks(ranks: readonly number[], chosen: number | null): number[] {
  if (ranks.length <= 3) return [...ranks];
  const inner = ranks.slice(1, -1);
  const middle = chosen !== null && inner.includes(chosen) ? chosen : inner[inner.length >> 1];
  return [ranks[0], middle, ranks.at(-1)!];
}
