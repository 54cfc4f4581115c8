import { QdyloraError } from '@qdylora/contract';
import { kvTokenBytes, type FamilyConfig } from '@qdylora/models';
import type { OutputOf } from '../config/values/check-values.ts';
import type { SERVE_KEYS } from '../config/serve-keys.ts';
import { longestSequenceOf } from '../recipes/opening/longest-sequence-of.ts';

type SizeKeys = Pick<OutputOf<typeof SERVE_KEYS>, 'context' | 'kvMemory' | 'maxConcurrency'>;

/** How much text a server holds. */
export interface ServerSizes {
  /** Of a prompt and its answer together. */
  readonly contextTokens: number;
  /** Of all running requests together. */
  readonly capacityTokens: number;
}

/** 1 GiB: 23,000 tokens of SmolLM2-135M, 1,000 of Llama 2 7B. */
const DEFAULT_KV_BYTES = 2 ** 30;
/** The default context is at most this, also where model and memory allow more. */
const MOST_DEFAULT_CONTEXT_TOKENS = 8192;

/**
 * The context, and the tokens whose keys and values fit the memory.
 *
 * @param family the config of the model, which is known before its weights
 * @throws QdyloraError BAD_CONFIG for a context that does not fit
 */
export function serverSizes(config: SizeKeys, family: FamilyConfig): ServerSizes {
  const limit = longestSequenceOf({ config: family });
  const fitting = Math.floor((config.kvMemory ?? DEFAULT_KV_BYTES) / kvTokenBytes(family.attention));
  const contextTokens = config.context ?? Math.min(limit, MOST_DEFAULT_CONTEXT_TOKENS, fitting);
  const needed = Math.max(2, contextTokens);
  const problem =
    contextTokens > limit
      ? `The model reads ${limit} tokens, and the context has ${contextTokens}.`
      : needed > fitting
        ? `Keys and values of ${fitting} tokens fit kv_memory, and ${needed} are needed.`
        : null;
  if (problem !== null)
    throw new QdyloraError('BAD_CONFIG', {
      where: 'context',
      problem,
      nextStep:
        fitting < 2 ? 'Set a larger --kv-memory.' : 'Set a smaller --context, or a larger --kv-memory.',
    });
  return { contextTokens, capacityTokens: Math.min(fitting, contextTokens * config.maxConcurrency) };
}
