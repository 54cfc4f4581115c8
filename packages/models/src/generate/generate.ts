import { createRng, QdyloraError } from '@qdylora/contract';
import { inferenceContext, type ActiveRank, type ComputeDtype, type ForwardContext } from '@qdylora/tensor';
import { oneSequence, type TokenInputs } from '../batch-arrays.ts';
import type { CausalLm } from '../causal-lm.ts';
import { chooseToken, type SamplingOptions } from './choose-token.ts';
import type { KvCache } from './kv-cache.ts';

export interface GenerateOptions extends SamplingOptions {
  readonly maxNewTokens?: number;
  readonly seed?: number;
  /** Ids that end the text; the end id itself is not handed out. */
  readonly stopIds?: readonly number[];
  readonly computeDtype?: ComputeDtype;
  readonly signal?: AbortSignal;
}

/** From so many tokens on, codes of the head save more than they cost: they take as long as two tokens' heads, and save half of each (SmolLM2-135M; Emerald Rapids, 2026). */
const CODES_PAY = 8;

/**
 * Streams new token ids after a prompt, with a key-value cache. The rank comes with the view: `adapted.atRank(8)`.
 * Greedy texts of 8 tokens and more keep 8-bit codes of the head beside it while they last ([vocabulary, hidden] bytes), which change no token.
 *
 * @throws QdyloraError BAD_ARGUMENT for an empty prompt; the signal's reason when aborted
 */
export async function* generate(view: { readonly model: CausalLm; readonly active: ActiveRank | null }, prompt: ArrayLike<number>, options: GenerateOptions = {}): AsyncGenerator<number> {
  const { maxNewTokens = 128, stopIds = [], computeDtype = 'f32', temperature = 0, signal } = options, { model, active } = view;
  if (prompt.length === 0) throw new QdyloraError('BAD_ARGUMENT', { where: 'generate', problem: 'expected at least one token for the prompt, got none' });
  using cache = model.createCache(prompt.length + maxNewTokens);
  const writer: Writer = { model, ctx: { ...inferenceContext(model.backend, computeDtype), active }, cache, prompt: oneSequence(prompt) };
  const ids = temperature <= 0 ? likeliestIds(writer, maxNewTokens >= CODES_PAY) : sampledIds(writer, options);
  try {
    for (let step = 0; step < maxNewTokens; step++) {
      signal?.throwIfAborted();
      const id = (await ids.next()).value as number;
      if (stopIds.includes(id)) return;
      yield id;
    }
  } finally {
    await ids.return(undefined);
  }
}

interface Writer { readonly model: CausalLm; readonly ctx: ForwardContext; readonly cache: KvCache; readonly prompt: TokenInputs }

/** Endless; what it keeps for further tokens is made when the second one is asked for. */
async function* likeliestIds({ model, ctx, cache, prompt }: Writer, hasCodes: boolean): AsyncGenerator<number> {
  let id = await model.nextLikeliest(ctx, prompt, cache);
  yield id;
  using step = model.createLikeliestStep(ctx, cache, { hasCodes });
  for (;;) yield id = await step.next(id);
}

async function* sampledIds({ model, ctx, cache, prompt }: Writer, { temperature = 0, topK = 0, topP = 1, seed = 0 }: GenerateOptions): AsyncGenerator<number> {
  const rng = createRng(seed).named('generate'), choose = (logits: Float32Array, at: number): number => chooseToken(logits, { temperature, topK, topP }, rng, at);
  let id = choose(await model.nextLogits(ctx, prompt, cache), 0);
  yield id;
  using step = model.createLogitsStep(ctx, cache);
  for (let at = 1; ; at++) yield id = choose(await step.next(id), at);
}
