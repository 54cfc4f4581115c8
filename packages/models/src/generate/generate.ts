import { createRng, QdyloraError } from '@qdylora/contract';
import { inferenceContext, type ActiveRank, type ComputeDtype } from '@qdylora/tensor';
import { oneSequence } from '../batch-arrays.ts';
import type { CausalLm } from '../causal-lm.ts';
import { chooseToken, type SamplingOptions } from './choose-token.ts';
import type { HeadCodes } from './head-codes.ts';

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
  const { maxNewTokens = 128, seed = 0, stopIds = [], computeDtype = 'f32', temperature = 0, topK = 0, topP = 1, signal } = options, { model, active } = view;
  if (prompt.length === 0) throw new QdyloraError('BAD_ARGUMENT', { where: 'generate', problem: 'expected at least one token for the prompt, got none' });
  const rng = createRng(seed).named('generate'), ctx = { ...inferenceContext(model.backend, computeDtype), active }, isGreedy = temperature <= 0;
  using cache = model.createCache(prompt.length + maxNewTokens);
  let next: ArrayLike<number> = prompt, codes: HeadCodes | undefined;
  try {
    for (let step = 0; step < maxNewTokens; step++) {
      signal?.throwIfAborted();
      if (step === 1 && isGreedy && maxNewTokens >= CODES_PAY) codes = model.createHeadCodes();
      const inputs = oneSequence(next, cache.length);
      const id = isGreedy ? await model.nextLikeliest(ctx, inputs, cache, codes) : chooseToken(await model.nextLogits(ctx, inputs, cache), { temperature, topK, topP }, rng, step);
      if (stopIds.includes(id)) return;
      yield id;
      next = [id];
    }
  } finally {
    codes?.[Symbol.dispose]();
  }
}
