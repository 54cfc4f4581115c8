import {
  abortSignal,
  assertArgument,
  checkOptions,
  createRng,
  numberWithin,
  oneOf,
  optionRule,
  shownValue,
  wholeNumber,
  type OptionRules,
} from '@qdylora/contract';
import {
  assertView,
  inferenceContext,
  type ActiveRank,
  type ComputeDtype,
  type ForwardContext,
} from '@qdylora/tensor';
import { oneSequence, type TokenInputs } from '../decoder/batch-arrays.ts';
import type { CausalLm } from '../decoder/causal-lm.ts';
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

const someIds = optionRule(
  'an array of ids',
  (value) => Array.isArray(value) && value.every((id) => Number.isSafeInteger(id)),
);
const RULES: OptionRules<GenerateOptions> = {
  maxNewTokens: wholeNumber(),
  temperature: numberWithin({ least: 0 }),
  topK: wholeNumber(),
  topP: numberWithin({ least: 0, most: 1 }),
  seed: wholeNumber(),
  stopIds: someIds,
  computeDtype: oneOf(['f32', 'bf16']),
  signal: abortSignal,
};

/**
 * From so many tokens on, codes of the head save more than they cost: they take as long as two tokens' heads,
 * and save half of each (SmolLM2-135M; Emerald Rapids, 2026).
 */
const CODES_PAY = 8;

/**
 * Streams new token ids after a prompt, with a key-value cache. The rank comes with the view:
 * `adapted.atRank(8)`.
 * Greedy texts of 8 tokens and more keep 8-bit codes of the head beside it while they last ([vocabulary,
 * hidden] bytes), which change no token.
 *
 * @throws QdyloraError BAD_ARGUMENT for a prompt that is empty or no array of ids of the vocabulary, a view
 * that does not say its rank, and options that are unknown or of another kind; the signal's reason when
 * aborted
 */
export async function* generate(
  view: { readonly model: CausalLm; readonly active: ActiveRank | null },
  prompt: ArrayLike<number>,
  options: GenerateOptions = {},
): AsyncGenerator<number> {
  assertView('generate', view);
  checkOptions('generate', options, RULES);
  assertPrompt(prompt, view.model.config.vocabularySize);
  const { maxNewTokens = 128, stopIds = [], computeDtype = 'f32', temperature = 0, signal } = options;
  const { model, active } = view;
  using cache = model.createCache(prompt.length + maxNewTokens);
  const writer: Writer = {
    model,
    ctx: { ...inferenceContext(model.backend, computeDtype), active },
    cache,
    prompt: oneSequence(prompt),
  };
  const ids =
    temperature <= 0 ? likeliestIds(writer, maxNewTokens >= CODES_PAY) : sampledIds(writer, options);
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

function assertPrompt(prompt: unknown, vocabularySize: number): asserts prompt is ArrayLike<number> {
  assertArgument(
    Array.isArray(prompt) || ArrayBuffer.isView(prompt),
    'generate',
    `expected an array of ids for the prompt, got ${shownValue(prompt)}`,
    typeof prompt === 'string' ? 'Give tokenizer.encode(text).' : undefined,
  );
  const ids = prompt as ArrayLike<unknown>;
  assertArgument(ids.length > 0, 'generate', 'expected at least one token for the prompt, got none');
  for (let i = 0; i < ids.length; i++)
    if (!isId(ids[i], vocabularySize))
      assertArgument(
        false,
        'generate',
        `expected ids below ${vocabularySize} for the prompt, got ${shownValue(ids[i])} at ${i}`,
        'Encode it with the tokenizer of this model.',
      );
}

const isId = (id: unknown, vocabularySize: number): boolean =>
  Number.isSafeInteger(id) && (id as number) >= 0 && (id as number) < vocabularySize;

interface Writer {
  readonly model: CausalLm;
  readonly ctx: ForwardContext;
  readonly cache: KvCache;
  readonly prompt: TokenInputs;
}

/** Endless; what it keeps for further tokens is made when the second one is asked for. */
async function* likeliestIds(
  { model, ctx, cache, prompt }: Writer,
  hasCodes: boolean,
): AsyncGenerator<number> {
  let id = await model.nextLikeliest(ctx, prompt, cache);
  yield id;
  using step = model.createLikeliestStep(ctx, cache, { hasCodes });
  for (;;) yield (id = await step.next(id));
}

async function* sampledIds(
  { model, ctx, cache, prompt }: Writer,
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
