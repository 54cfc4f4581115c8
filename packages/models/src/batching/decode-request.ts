import {
  abortSignal,
  assertArgument,
  checkOptions,
  numberWithin,
  trueOrFalse,
  wholeNumber,
  type OptionRules,
} from '@qdylora/contract';
import { assertRankView, type ActiveRank } from '@qdylora/tensor';
import type { CausalLm } from '../decoder/causal-lm.ts';
import { SAMPLING_RULES, type SamplingOptions } from '../generate/choose-token.ts';
import { assertPrompt, someIds } from '../generate/assert-prompt.ts';
import type { TokenScores } from './sequence-pass.ts';

/** A model at a rank. */
export interface DecodeView {
  readonly model: CausalLm;
  readonly active: ActiveRank | null;
}

/** Options of a request to an engine: when it ends, how tokens are chosen, and which are scored. */
export interface DecodeOptions extends SamplingOptions {
  /** Tokens after the prompt at most; 0 only reads the prompt. Default: 128. */
  readonly maxNewTokens?: number;
  /** Seed of sampling; 0 by default. */
  readonly seed?: number;
  /** Ids that end the text; they are not yielded. Default: none. */
  readonly stopIds?: readonly number[];
  /** Above 1: tokens that occurred before are less likely; 1 by default. */
  readonly repetitionPenalty?: number;
  /** Yields the log-probability of each new token, and so many of the most likely ones. Default: none. */
  readonly topLogProbabilities?: number;
  /**
   * Scores the tokens of the prompt too, with `topLogProbabilities` classes each (at least one). Default:
   * false.
   */
  readonly scorePrompt?: boolean;
  /**
   * The first token of the prompt whose prediction is scored, with `scorePrompt`; 1 by default, the second
   * token.
   */
  readonly scoreFrom?: number;
  /** Tokens that are scored as the one after the prompt, with `scorePrompt`. Default: none. */
  readonly nextTargets?: readonly number[];
  /** Ends the request: its place goes to the next one after the current pass. */
  readonly signal?: AbortSignal;
}

/** A token, and its log-probability in nats before temperature and penalties. */
export interface TokenChance {
  readonly id: number;
  readonly logProbability: number;
}

/** A token that was chosen, and how likely it was. */
export interface ChosenToken {
  readonly id: number;
  /** Of the model, before temperature and penalties; null unless `topLogProbabilities`. */
  readonly logProbability: number | null;
  readonly top: readonly TokenChance[];
}

/** What a request yields, in this order: `prompt` once, then tokens, then `end` once. */
export type DecodeEvent =
  | {
      readonly type: 'prompt';
      /**
       * Scores of the next-token predictions from token `scoreFrom` − 1 on; null unless `scorePrompt`. The
       * row of the last token, which no token follows, is 0.
       */
      readonly scores: TokenScores | null;
      /** Scores of each of `nextTargets` as the token after the prompt; null unless `scorePrompt`. */
      readonly nextScores: TokenScores | null;
    }
  | ({ readonly type: 'token' } & ChosenToken)
  | {
      readonly type: 'end';
      /** `stop`: one of `stopIds` followed; `length`: `maxNewTokens` were written. */
      readonly reason: 'stop' | 'length';
      /** The one of `stopIds` that followed; null where there was none. */
      readonly stopToken: ChosenToken | null;
    };

const RULES: OptionRules<DecodeOptions> = {
  maxNewTokens: wholeNumber(),
  ...SAMPLING_RULES,
  seed: wholeNumber(),
  stopIds: someIds,
  repetitionPenalty: numberWithin({ least: 0.01 }),
  topLogProbabilities: wholeNumber(),
  scorePrompt: trueOrFalse,
  scoreFrom: wholeNumber(1),
  nextTargets: someIds,
  signal: abortSignal,
};

/** A checked request with all defaults. */
export interface DecodeRequest extends Required<Omit<DecodeOptions, 'signal' | 'topLogProbabilities'>> {
  readonly model: CausalLm;
  /** 0: the base. */
  readonly rank: number;
  readonly prompt: readonly number[];
  readonly topLogProbabilities: number | null;
  readonly signal: AbortSignal | null;
  /** Places in the pool: the prompt and all new tokens but the last, which no pass reads. */
  readonly places: number;
}

/** @throws QdyloraError BAD_ARGUMENT */
export function decodeRequest(
  view: DecodeView,
  prompt: ArrayLike<number>,
  options: DecodeOptions,
): DecodeRequest {
  const where = 'decode';
  assertRankView(where, view);
  checkOptions(where, options, RULES);
  const { model, active } = view;
  assertPrompt(where, prompt, model.vocabularySize);
  assertArgument(active?.parts === undefined, where, 'A request must have one rank (got parts of several)');
  const { maxNewTokens = 128, scoreFrom = 1 } = options;
  assertArgument(
    scoreFrom <= prompt.length,
    where,
    `\`scoreFrom\` must be within the ${prompt.length} tokens of the prompt (got ${scoreFrom})`,
  );
  // an error within a pass would end the requests beside this one too
  const { nextTargets = [], topLogProbabilities = null } = options;
  assertArgument(
    nextTargets.every((id) => id >= 0 && id < model.vocabularySize),
    where,
    `\`nextTargets\` must be ids below ${model.vocabularySize}, the size of the vocabulary`,
  );
  assertArgument(
    topLogProbabilities === null || topLogProbabilities <= model.vocabularySize,
    where,
    `\`topLogProbabilities\` must be at most ${model.vocabularySize}, the size of the vocabulary (got ` +
      `${topLogProbabilities})`,
  );
  const places = prompt.length + Math.max(0, maxNewTokens - 1);
  model.assertInputs({ positions: Int32Array.of(places - 1) });
  return {
    model,
    rank: active?.rank ?? 0,
    prompt: Array.from(prompt),
    maxNewTokens,
    temperature: options.temperature ?? 0,
    topK: options.topK ?? 0,
    topP: options.topP ?? 1,
    seed: options.seed ?? 0,
    stopIds: options.stopIds ?? [],
    repetitionPenalty: options.repetitionPenalty ?? 1,
    topLogProbabilities,
    scorePrompt: options.scorePrompt ?? false,
    scoreFrom,
    nextTargets,
    signal: options.signal ?? null,
    places,
  };
}
