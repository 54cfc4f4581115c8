import { NOT_COUNTED, type Example, type Tokenizer } from '@qdylora/data';
import type { Adapted } from '@qdylora/lora-dynamic';
import { generate, type CausalLm } from '@qdylora/models';
import type { ComputeDtype } from '@qdylora/tensor';
import { stopIdsOf } from './stream-text.ts';
import type { ReportSamples } from '../../report/report-data.ts';

/** Long enough to see whether an answer makes sense. */
const NEW_TOKENS = 64;
/** Of a row that is all answer (plain text), so much is told. */
const PROMPT_TOKENS = 24;

export interface SampleOptions { readonly tokenizer: Tokenizer | null; readonly stopIds: readonly number[]; readonly example: Example | undefined; readonly ranks: readonly number[]; readonly computeDtype: ComputeDtype; readonly signal?: AbortSignal }

/** Greedy answers to one held-out (else training) prompt at a small, a middle and the largest rank; or the reason why there are none. */
export async function sampleTexts(model: CausalLm, adapted: Adapted<CausalLm> | null, { tokenizer, stopIds, example, ranks, computeDtype, signal }: SampleOptions): Promise<ReportSamples> {
  if (!tokenizer) return { missing: 'The model has no tokenizer, so its tokens cannot be shown as text.' };
  if (!example) return { missing: 'There is no row to take a prompt from.' };
  const { prompt, answer } = cutAtAnswer(example);
  if (prompt.length === 0) return { missing: 'The row has no tokens before its answer.' };
  const ends = stopIdsOf(stopIds, tokenizer), byRank: { rank: number | null; text: string }[] = [];
  for (const view of adapted ? ranks.map((rank) => ({ rank, ...adapted.atRank(rank) })) : [{ rank: null, model, active: null }]) {
    const ids: number[] = [];
    for await (const id of generate(view, prompt, { maxNewTokens: NEW_TOKENS, stopIds: ends, computeDtype, signal })) ids.push(id);
    byRank.push({ rank: view.rank, text: tokenizer.decode(ids) });
  }
  return { prompts: [{ prompt: tokenizer.decode(prompt), expected: tokenizer.decode(answer, { skipSpecialTokens: true }), byRank }] };
}

/** What the model is told, and what should follow. */
function cutAtAnswer({ ids, labels }: Example): { prompt: Int32Array; answer: Int32Array } {
  const first = labels.findIndex((label, t) => t > 0 && label !== NOT_COUNTED), at = first > 1 ? first : Math.min(PROMPT_TOKENS, ids.length - 1);
  return { prompt: ids.subarray(0, at), answer: ids.subarray(at, at + NEW_TOKENS) };
}

/** Three ranks that tell something: the smallest, the chosen or middle one, and the largest. */
export function sampleRanks(ranks: readonly number[], chosen: number | null): number[] {
  if (ranks.length <= 3) return [...ranks];
  const inner = ranks.slice(1, -1), middle = chosen !== null && inner.includes(chosen) ? chosen : inner[inner.length >> 1]!;
  return [ranks[0]!, middle, ranks.at(-1)!];
}
