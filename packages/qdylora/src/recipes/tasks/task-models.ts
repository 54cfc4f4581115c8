import { setImmediate } from 'node:timers/promises';
import type { Tokenizer } from '@qdylora/data';
import {
  requestEncoder,
  tokensOfRequest,
  type RequestEncoder,
  type TaskRequests,
  type TokenModel,
} from '@qdylora/eval';
import { groupFrozenLayers, modelAtLevel } from '@qdylora/lora-dynamic';
import { createDecodeEngine, kvTokenBytes, type DecodeView } from '@qdylora/models';
import { longestSequenceOf } from '../opening/longest-sequence-of.ts';
import type { OpenModel } from '../opening/open-model.ts';
import { tokenModel } from './token-model.ts';

/** A model at every rank, on one decode engine: requests of all ranks share its passes. */
export interface TaskModels extends AsyncDisposable {
  /** Of all these models. */
  readonly encode: RequestEncoder;
  /** Null: without the adapter. */
  at(rank: number | null): TokenModel;
}

export interface TaskModelsOptions {
  readonly tokenizer: Tokenizer;
  readonly requests: readonly TaskRequests[];
  /** Ranks that are judged together, the base included. */
  readonly rankCount: number;
  /** Ends all requests. */
  readonly signal: AbortSignal | undefined;
}

/** Requests that are computed together at most. */
const MOST_RUNNING = 64;
/** Tokens of prompts in a pass: products of more rows are no faster. */
const PASS_TOKENS = 2048;
/** Memory for keys and values, unless one request needs more. */
const KV_BYTES = 2 ** 30;

export function openTaskModels(
  opened: OpenModel,
  { tokenizer, requests, rankCount, signal }: TaskModelsOptions,
): TaskModels {
  const { model, adapter, source, computeDtype, level } = opened;
  const base: DecodeView = adapter?.adapted.base({ level }) ?? {
    model: groupFrozenLayers(modelAtLevel(model, level)),
    active: null,
  };
  const encode = requestEncoder({ tokenizer, maxLength: longestSequenceOf(model) });
  const longest = requests
    .flatMap(({ documents }) => documents.flatMap((document) => document.requests))
    .reduce((most, request) => Math.max(most, tokensOfRequest(encode(request))), 1);
  const fitting = Math.floor(KV_BYTES / kvTokenBytes(model.config.attention));
  const engine = createDecodeEngine(model, {
    capacityTokens: Math.max(longest, Math.min(fitting, MOST_RUNNING * longest)),
    maxRunning: MOST_RUNNING,
    maxWaiting: Number.MAX_SAFE_INTEGER,
    passTokens: PASS_TOKENS,
    computeDtype,
    pause: () => setImmediate(),
  });
  const options = {
    engine,
    tokenizer,
    stopIds: [...new Set([...source.stopIds, ...(tokenizer.eosId === null ? [] : [tokenizer.eosId])])],
    concurrency: Math.ceil(MOST_RUNNING / rankCount),
  };
  const onAbort = (): void => void engine.close();
  signal?.addEventListener('abort', onAbort);
  return {
    encode,
    at: (rank) => tokenModel(rank === null ? base : adapter!.adapted.atRank(rank, { level }), options),
    async [Symbol.asyncDispose]() {
      signal?.removeEventListener('abort', onAbort);
      await engine.close();
    },
  };
}
