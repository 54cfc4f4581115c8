import {
  abortSignal,
  checkOptions,
  createRng,
  FLOAT_DTYPES,
  oneOf,
  wholeNumber,
  type OptionRules,
} from '@qdylora/contract';
import {
  assertRankView,
  inferenceContext,
  type ActiveRank,
  type ComputeDtype,
  type ForwardContext,
} from '@qdylora/tensor';
import { oneSequence, type TokenInputs } from '../decoder/batch-arrays.ts';
import type { CausalLm } from '../decoder/causal-lm.ts';
import { assertPrompt, someIds } from './assert-prompt.ts';
import { chooseToken, SAMPLING_RULES, type SamplingOptions } from './choose-token.ts';
import type { KvCache } from '../decoder/kv-cache.ts';

/** Options of `generate`: when the text ends, and how its tokens are chosen. */
export interface GenerateOptions extends SamplingOptions {
  /** 128 by default. */
  readonly maxNewTokens?: number;
  /** Seed of sampling; 0 by default. */
  readonly seed?: number;
  /** Ids that end the text; they are not yielded. Default: none. */
  readonly stopIds?: readonly number[];
  /** `f32` by default. */
  readonly computeDtype?: ComputeDtype;
  /** Checked before each token. */
  readonly signal?: AbortSignal;
}

const RULES: OptionRules<GenerateOptions> = {
  maxNewTokens: wholeNumber(),
  ...SAMPLING_RULES,
  seed: wholeNumber(),
  stopIds: someIds,
  computeDtype: oneOf(FLOAT_DTYPES),
  signal: abortSignal,
};

/**
 * From this many tokens on, 8-bit codes of the head are worth making: making them takes as long as the head
 * of two tokens, and they save half of each token's head (SmolLM2-135M; Emerald Rapids, 2026).
 */
const LEAST_TOKENS_FOR_CODES = 8;

/**
 * Yields new token ids after a prompt, with a key-value cache.
 *
 * The rank comes with the view: `adapted.atRank(8)`, or `{ model, active: null }` for a model without
 * adapter.
 *
 * Greedy decoding of 8 tokens and more keeps an 8-bit copy of the head ([vocabulary, hidden] bytes) while it
 * lasts. The tokens are the same.
 *
 * @throws QdyloraError BAD_ARGUMENT for an empty prompt, ids outside the vocabulary, a `maxNewTokens` beyond
 * the positions of the model, a view without a rank, and unknown or wrong options; the signal's reason when
 * aborted
 * @example
 * for await (const id of generate(adapted.atRank(8), tokenizer.encode('Hello'), { maxNewTokens: 20 }))
 *   process.stdout.write(tokenizer.decode([id]));
 */
export async function* generate(
  view: { readonly model: CausalLm; readonly active: ActiveRank | null },
  prompt: ArrayLike<number>,
  options: GenerateOptions = {},
): AsyncGenerator<number> {
  assertRankView('generate', view);
  checkOptions('generate', options, RULES);
  assertPrompt('generate', prompt, view.model.config.vocabularySize);
  const { maxNewTokens = 128, stopIds = [], computeDtype = 'f32', temperature = 0, signal } = options;
  const { model, active } = view;
  // refused now, not after some tokens; the last new token is never read
  const places = prompt.length + Math.max(0, maxNewTokens - 1);
  if (options.maxNewTokens !== undefined) model.assertInputs({ positions: Int32Array.of(places - 1) });
  using cache = model.createCache(prompt.length + maxNewTokens);
  const decoding: Decoding = {
    model,
    ctx: { ...inferenceContext(model.backend, computeDtype), active },
    cache,
    prompt: oneSequence(prompt),
  };
  const ids =
    temperature <= 0
      ? likeliestIds(decoding, maxNewTokens >= LEAST_TOKENS_FOR_CODES)
      : sampledIds(decoding, options);
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

/** What both ways of choosing tokens read. */
interface Decoding {
  readonly model: CausalLm;
  readonly ctx: ForwardContext;
  readonly cache: KvCache;
  readonly prompt: TokenInputs;
}

/** Greedy decoding, without end. The step and the codes are made only when a second token is asked for. */
async function* likeliestIds(
  { model, ctx, cache, prompt }: Decoding,
  hasCodes: boolean,
): AsyncGenerator<number> {
  let id = await model.nextLikeliest(ctx, prompt, cache);
  yield id;
  using step = model.createLikeliestStep(ctx, cache, { hasCodes });
  for (;;) yield (id = await step.next(id));
}

async function* sampledIds(
  { model, ctx, cache, prompt }: Decoding,
  { temperature = 0, topK = 0, topP = 1, seed = 0 }: GenerateOptions,
): AsyncGenerator<number> {
  const rng = createRng(seed).named('generate');
  const choose = (logits: Float32Array, at: number): number =>
    chooseToken(logits, { temperature, topK, topP }, rng, at);
  let id = choose(await model.nextLogits(ctx, prompt, cache), 0);
  yield id;
  using step = model.createLogitsStep(ctx, cache);
  for (let at = 1; ; at++) yield (id = choose(await step.next(id), at));
}
