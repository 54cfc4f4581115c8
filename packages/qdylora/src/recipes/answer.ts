import { QdyloraError } from '@qdylora/contract';
import type { ChatMessage, Tokenizer } from '@qdylora/data';
import { groupFrozenLayers } from '@qdylora/lora-dynamic';
import { generate } from '@qdylora/models';
import type { OutputOf } from '../config/check-values.ts';
import type { GivenValues } from '../config/given-values.ts';
import { GENERATE_KEYS } from '../config/verb-keys.ts';
import type { RecipeHooks } from './evaluate.ts';
import { checkModelValues, openModel, type OpenModel } from './opening/open-model.ts';
import { ranksOf, readAdapter } from './adapter/read-adapter.ts';
import { stopIdsOf, streamText } from './outputs/stream-text.ts';

export type GenerateConfig = OutputOf<typeof GENERATE_KEYS>;

/** A model that answers, at one rank. */
export interface Answerer extends Disposable {
  readonly config: GenerateConfig;
  readonly tokenizer: Tokenizer | null;
  /** True where prompts go through the chat template. */
  readonly usesTemplate: boolean;
  /** Token ids of what the model reads. */
  promptOf(messages: readonly ChatMessage[]): number[];
  ids(prompt: readonly number[], signal?: AbortSignal): AsyncGenerator<number>;
  text(prompt: readonly number[], signal?: AbortSignal): AsyncGenerator<string>;
}

/**
 * Opens a model to generate with. @throws QdyloraError BAD_CONFIG, MISSING_FILE, BAD_ADAPTER, BAD_ARGUMENT, …
 */
export async function openAnswerer(
  given: GivenValues,
  { onNotice = () => {} }: RecipeHooks,
): Promise<Answerer> {
  const config = checkModelValues(GENERATE_KEYS, given);
  const adapter = config.adapter === null ? null : readAdapter(config.adapter);
  if (!adapter && config.rank)
    throw new QdyloraError('BAD_CONFIG', {
      where: 'rank',
      problem: `expected an adapter for rank ${config.rank}, got none`,
      nextStep: 'Name it: --adapter runs/first/adapter.',
    });
  const rank = adapter && ranksOf(adapter, [config.rank ?? adapter.state.maxRank])[0]!;
  const opened = await openModel(config, { adapter, warn: onNotice });
  try {
    const tokenizer = await opened.source.openTokenizer();
    if (!tokenizer && !config.promptIds)
      throw new QdyloraError('BAD_CONFIG', {
        where: opened.source.name,
        problem: 'expected a tokenizer to read a prompt, got a model without',
        nextStep: 'Give token ids: --prompt-ids 1,2,3.',
      });
    return answererOf(opened, config, rank, tokenizer);
  } catch (error) {
    opened.dispose();
    throw error;
  }
}

function answererOf(
  opened: OpenModel,
  config: GenerateConfig,
  rank: number | null,
  tokenizer: Tokenizer | null,
): Answerer {
  const { model, adapter, source, computeDtype } = opened;
  const view =
    adapter && rank !== null
      ? adapter.adapted.atRank(rank)
      : { model: groupFrozenLayers(model), active: null };
  const { maxNewTokens, seed, temperature, topK, topP, raw } = config;
  const template = raw ? null : (tokenizer?.chatTemplate ?? null);
  const stopIds = stopIdsOf(source.stopIds, tokenizer);
  const ids: Answerer['ids'] = (prompt, signal) =>
    generate(view, prompt, { maxNewTokens, seed, temperature, topK, topP, stopIds, computeDtype, signal });
  return {
    config,
    tokenizer,
    usesTemplate: template !== null,
    ids,
    [Symbol.dispose]: opened.dispose,
    promptOf: (messages) =>
      template
        ? tokenizer!.encode(template.render(messages, { addGenerationPrompt: true }))
        : tokenizer!.encode(messages.at(-1)!.content!, { addSpecialTokens: true }),
    text: (prompt, signal) => streamText(ids(prompt, signal), tokenizer!),
  };
}
