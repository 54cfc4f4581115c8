import OpenAI from 'openai';
import type { Tokenizer } from '@qdylora/data';
import type { DecodeEngine } from '@qdylora/models';
import { promptStyle } from '../src/recipes/opening/prompt-style.ts';
import { createApp } from '../src/serve/http/create-app.ts';
import { createMetrics } from '../src/serve/http/metrics.ts';
import { servedModels } from '../src/serve/served-models.ts';

export interface ScriptedAppOptions {
  readonly tokenizer: Tokenizer;
  /** What the model writes. */
  readonly decode: DecodeEngine['decode'];
  readonly newSeed?: () => number;
}

export interface ScriptedApp {
  readonly openai: OpenAI;
  /** Sends a body as it is written. */
  post(path: string, body: string): Promise<{ status: number; json: Record<string, any> }>;
}

/** The routes of a server of one model, `smol`, whose answers are given by a function. */
export async function scriptedApp({
  tokenizer,
  decode,
  newSeed = () => 1,
}: ScriptedAppOptions): Promise<ScriptedApp> {
  const view = { model: null as never, active: null };
  const adapter = {
    name: 'smol',
    adapted: { base: () => view, atRank: () => view } as never,
    ranks: [1],
    isNested: true,
    recommendedRank: 1,
    tokenizer,
    style: promptStyle(tokenizer, null, false),
    stopIds: [],
    chatStopIds: [],
  };
  const app = await createApp(
    {
      models: servedModels([adapter], 4),
      engine: { decode, usage: () => IDLE, close: () => Promise.resolve() },
      metrics: createMetrics(),
      contextTokens: 1000,
      mostAnswers: 4,
      timeoutMs: 10_000,
      clock: () => 0,
      newId: () => 'a1b2c3d4e5f6',
      newSeed,
      draining: new AbortController().signal,
      closing: new AbortController().signal,
      onError: (error) => {
        throw error;
      },
    },
    {
      apiKey: 'secret',
      hosts: [],
      mostBodyBytes: 100_000,
      page: new Map(),
      memoryUsage: () => ({ liveBytes: 0, reservedBytes: 0 }),
    },
  );
  const request = (url: string | URL | Request, init?: RequestInit) =>
    Promise.resolve(app.request(url as string, init));
  return {
    openai: new OpenAI({ baseURL: 'http://here/v1', apiKey: 'secret', maxRetries: 0, fetch: request }),
    async post(path, body) {
      const headers = { 'content-type': 'application/json', authorization: 'Bearer secret' };
      const response = await request(`http://here${path}`, { method: 'POST', headers, body });
      return { status: response.status, json: (await response.json()) as Record<string, any> };
    },
  };
}

const IDLE: ReturnType<DecodeEngine['usage']> = {
  running: 0,
  waiting: 0,
  reservedTokens: 0,
  capacityTokens: 1,
  promptTokens: 0,
  sharedPromptTokens: 0,
  newTokens: 0,
  draftedTokens: 0,
  acceptedTokens: 0,
  passes: 0,
};
