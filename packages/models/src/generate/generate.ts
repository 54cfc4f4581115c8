import { createRng, QdyloraError } from '@qdylora/contract';
import { inferenceContext, type ActiveRank, type ComputeDtype } from '@qdylora/tensor';
import { oneSequence } from '../batch-arrays.ts';
import type { CausalLm } from '../causal-lm.ts';
import { chooseToken, type SamplingOptions } from './choose-token.ts';

export interface GenerateOptions extends SamplingOptions {
  readonly maxNewTokens?: number;
  readonly seed?: number;
  /** Ids that end the text; the end id itself is not handed out. */
  readonly stopIds?: readonly number[];
  readonly computeDtype?: ComputeDtype;
  readonly signal?: AbortSignal;
}

/**
 * Streams new token ids after a prompt, with a key-value cache. The rank comes with the view: `adapted.atRank(8)`.
 *
 * @throws QdyloraError BAD_ARGUMENT for an empty prompt; the signal's reason when aborted
 */
export async function* generate(view: { readonly model: CausalLm; readonly active: ActiveRank | null }, prompt: ArrayLike<number>, options: GenerateOptions = {}): AsyncGenerator<number> {
  const { maxNewTokens = 128, seed = 0, stopIds = [], computeDtype = 'f32', signal } = options, { model, active } = view;
  if (prompt.length === 0) throw new QdyloraError('BAD_ARGUMENT', { where: 'generate', problem: 'expected at least one token for the prompt, got none' });
  const rng = createRng(seed).named('generate'), ctx = { ...inferenceContext(model.backend, computeDtype), active };
  using cache = model.createCache(prompt.length + maxNewTokens);
  let next: ArrayLike<number> = prompt;
  for (let step = 0; step < maxNewTokens; step++) {
    signal?.throwIfAborted();
    const logits = await model.nextLogits(ctx, oneSequence(next, cache.length), cache);
    const id = chooseToken(logits, options, rng, step);
    if (stopIds.includes(id)) return;
    yield id;
    next = [id];
  }
}
