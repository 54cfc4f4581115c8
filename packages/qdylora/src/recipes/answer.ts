import { setImmediate } from 'node:timers/promises';
import { QdyloraError } from '@qdylora/contract';
import type { ChatMessage, Tokenizer } from '@qdylora/data';
import { groupFrozenLayers, modelAtLevel } from '@qdylora/lora-dynamic';
import { createDecodeEngine, type DecodeView } from '@qdylora/models';
import type { ComputeDtype } from '@qdylora/tensor';
import type { OutputOf } from '../config/values/check-values.ts';
import type { ExplicitValues } from '../config/explicit-values.ts';
import { GENERATE_KEYS } from '../config/verb-keys.ts';
import { closingNote } from './opening/chosen-template.ts';
import { warnOfLongText } from './opening/warn-of-positions.ts';
import { checkModelValues, openModel, openModelSource, type OpenModel } from './opening/open-model.ts';
import { promptStyle, type PromptStyle } from './opening/prompt-style.ts';
import { tellOnce } from './tell-once.ts';
import type { WeightPrecision } from './opening/weight-precision.ts';
import { ranksOf, readAdapter, warnOfUntrainedRank } from './adapter/read-adapter.ts';
import { stopIdsOf } from './outputs/stop-ids.ts';
import { decodeText, type TextEvent } from './text/decode-text.ts';
import type { RecipeHooks, Warn } from './hooks.ts';

export type GenerateConfig = OutputOf<typeof GENERATE_KEYS>;

/** A model that answers, at one rank. */
export interface Answerer extends Disposable {
  readonly config: GenerateConfig;
  readonly tokenizer: Tokenizer | null;
  readonly precision: WeightPrecision;
  /** True where prompts go through the chat template. */
  readonly usesTemplate: boolean;
  /** Token ids of what the model reads. */
  promptOf(messages: readonly ChatMessage[]): number[];
  /**
   * Tokens that an answer has at most: without `max_new_tokens` no more than the model has positions for.
   * @throws QdyloraError BAD_CONFIG where it has too few for the prompt, or for an explicit length
   */
  longestAnswer(promptTokens: number): number;
  /** The answer in pieces. Without a tokenizer their texts are empty. @throws as `longestAnswer` */
  answer(prompt: readonly number[], signal?: AbortSignal): AsyncGenerator<TextEvent>;
}

/**
 * Opens a model to generate with. @throws QdyloraError BAD_CONFIG, MISSING_FILE, BAD_ADAPTER, BAD_ARGUMENT, …
 */
export async function openAnswerer(
  explicit: ExplicitValues,
  { onNotice = () => {} }: Pick<RecipeHooks, 'onNotice'>,
): Promise<Answerer> {
  const config = checkModelValues(GENERATE_KEYS, explicit);
  if (config.raw && config.chatTemplate !== null)
    throw new QdyloraError('BAD_CONFIG', {
      where: 'raw',
      problem: `\`raw\` writes the prompt as it is, without the chat template ${config.chatTemplate}.`,
      nextStep: 'Leave one of them out.',
    });
  if (config.promptIds) assertNothingBesideIds(config);
  if (config.temperature === 0)
    for (const [name, isSet] of Object.entries({ top_k: config.topK > 0, top_p: config.topP < 1 }))
      if (isSet) onNotice(`${name} has no effect: temperature is 0, so the likeliest token is always taken.`);
  const adapter = config.adapter === null ? null : readAdapter(config.adapter);
  if (!adapter && config.rank !== null)
    throw new QdyloraError('BAD_CONFIG', {
      where: 'rank',
      problem: `Rank ${config.rank} needs an adapter, but none was given.`,
      nextStep: 'Name it: --adapter runs/first/adapter.',
    });
  const rank = adapter && ranksOf(adapter, [config.rank ?? adapter.state.maxRank])[0];
  if (adapter && rank !== null) warnOfUntrainedRank(adapter, rank, onNotice);
  const source = await openModelSource(config, { adapter, warn: onNotice });
  const tokenizer = await source.openTokenizer();
  if (!tokenizer) assertNeedsNoTokenizer(config, source.name);
  // a template that is asked for is used whatever was trained
  const trained = config.chatTemplate === null ? (adapter?.sidecar?.prompt ?? null) : null;
  const style = tokenizer && promptStyle(tokenizer, trained, config.raw);
  if (style) assertSystemIsShown(config, style);
  const opened = await openModel(config, { adapter, warn: onNotice, source });
  try {
    const isLengthChosen = explicit.has('maxNewTokens');
    return answererOf(opened, config, { rank, tokenizer, style, isLengthChosen, onNotice });
  } catch (error) {
    opened.dispose();
    throw error;
  }
}

/** @throws QdyloraError BAD_CONFIG for what makes a prompt of a text */
function assertNothingBesideIds({ prompt, raw, system, chatTemplate }: GenerateConfig): void {
  const textKeys = { prompt, raw, system, chat_template: chatTemplate };
  const beside = Object.entries(textKeys).find(([, value]) => value);
  if (beside)
    throw new QdyloraError('BAD_CONFIG', {
      where: 'prompt_ids',
      problem: `\`prompt_ids\` is the whole prompt, so \`${beside[0]}\` has no effect with it.`,
      nextStep: 'Leave one of them out.',
    });
}

/** @throws QdyloraError BAD_CONFIG for a text as prompt or stop */
function assertNeedsNoTokenizer({ promptIds, stop }: GenerateConfig, modelName: string): void {
  if (!promptIds)
    throw new QdyloraError('BAD_CONFIG', {
      where: modelName,
      problem: 'The model has no tokenizer, so it cannot read a prompt.',
      nextStep: 'Give token ids: --prompt-ids 1,2,3.',
    });
  if (stop)
    throw new QdyloraError('BAD_CONFIG', {
      where: 'stop',
      problem: 'The model has no tokenizer, so its tokens cannot be compared with a text.',
      nextStep: 'Leave --stop out.',
    });
}

function answererOf(
  opened: OpenModel,
  config: GenerateConfig,
  {
    rank,
    tokenizer,
    style,
    isLengthChosen,
    onNotice,
  }: {
    readonly rank: number | null;
    readonly tokenizer: Tokenizer | null;
    /** Null without a tokenizer. */
    readonly style: PromptStyle | null;
    readonly isLengthChosen: boolean;
    readonly onNotice: Warn;
  },
): Answerer {
  const { model, adapter, source, computeDtype, precision, level } = opened;
  const view =
    adapter && rank !== null
      ? adapter.adapted.atRank(rank, { level })
      : { model: groupFrozenLayers(modelAtLevel(model, level)), active: null };
  const endless = style?.usesTemplate && !config.promptIds ? closingNote(tokenizer, source.template) : null;
  if (endless !== null) onNotice(endless);
  const warnOnce = tellOnce(onNotice);
  const longestAnswer = (promptTokens: number): number =>
    answerLength(promptTokens, config.maxNewTokens, { limit: model.config.positionLimit, isLengthChosen });
  return {
    config,
    tokenizer,
    precision,
    usesTemplate: style?.usesTemplate ?? false,
    [Symbol.dispose]: opened.dispose,
    promptOf: (messages) => style!.encode(messages),
    longestAnswer,
    answer(prompt, signal) {
      const maxNewTokens = longestAnswer(prompt.length);
      const tokens = prompt.length + maxNewTokens;
      const advice = 'shorten the prompt, or lower max_new_tokens';
      warnOfLongText(model.config, { what: 'Prompt and answer may have', tokens, advice }, warnOnce);
      return answerOf(view, prompt, {
        config: { ...config, maxNewTokens },
        tokenizer,
        stopIds: stopIdsOf(source.stopIds, tokenizer),
        computeDtype,
        context: style?.isContinued || config.promptIds ? prompt : [],
        signal,
      });
    },
  };
}

/** @throws QdyloraError BAD_CONFIG for more positions than the model has */
function answerLength(
  promptTokens: number,
  maxNewTokens: number,
  { limit, isLengthChosen }: { readonly limit: number; readonly isLengthChosen: boolean },
): number {
  const room = limit - promptTokens;
  if (isLengthChosen && maxNewTokens <= room + 1) return maxNewTokens; // no pass reads the last token
  if (!isLengthChosen && room > 0) return Math.min(maxNewTokens, room);
  const isFull = room < 1;
  throw new QdyloraError('BAD_CONFIG', {
    where: isFull ? 'prompt' : 'max_new_tokens',
    problem:
      `The model has ${limit} positions, but the prompt has ${promptTokens} tokens` +
      (isFull ? ', so an answer has no room' : ` and the answer up to ${maxNewTokens}`),
    nextStep: isFull ? 'Shorten the prompt.' : `Shorten the prompt, or use max_new_tokens ${room}.`,
    details: { limit, promptTokens },
  });
}

interface AnswerOptions {
  readonly config: GenerateConfig;
  readonly tokenizer: Tokenizer | null;
  readonly stopIds: readonly number[];
  readonly computeDtype: ComputeDtype;
  /** The tokens that the answer's text goes on from. */
  readonly context: readonly number[];
  readonly signal: AbortSignal | undefined;
}

const NO_TEXT: Pick<Tokenizer, 'decode'> = { decode: () => '' };

/** One request to an engine of its own: the code that `serve` runs. */
async function* answerOf(
  view: DecodeView,
  prompt: readonly number[],
  { config, tokenizer, stopIds, computeDtype, context, signal }: AnswerOptions,
): AsyncGenerator<TextEvent> {
  const { maxNewTokens, seed, temperature, topK, topP, repetitionPenalty, draftTokens, stop } = config;
  const engine = createDecodeEngine(view.model, {
    capacityTokens: prompt.length + maxNewTokens,
    maxRunning: 1,
    draftTokens,
    computeDtype,
    pause: () => setImmediate(),
  });
  try {
    const options = { maxNewTokens, seed, temperature, topK, topP, repetitionPenalty, stopIds };
    const events = engine.decode(view, prompt, signal ? { ...options, signal } : options);
    yield* decodeText(events, tokenizer ?? NO_TEXT, { stops: stop ?? [], context });
  } finally {
    await engine.close();
  }
}

/** @throws QdyloraError BAD_CONFIG where a system message would not reach the model */
function assertSystemIsShown({ system }: GenerateConfig, { name, usesTemplate }: PromptStyle): void {
  if (!system || usesTemplate) return;
  throw new QdyloraError('BAD_CONFIG', {
    where: 'system',
    problem: `A system message needs a chat template, and the prompt is written without one here (${name})`,
    nextStep: 'Put it into the prompt itself, or leave it out.',
  });
}
