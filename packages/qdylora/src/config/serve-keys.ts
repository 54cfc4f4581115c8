import * as z from 'zod';
import { booleanKey, bytesKey, numberKey, optionalNumberKey, textKey, type Key } from './key.ts';
import { KEYS } from './keys.ts';
import { BASE_KEYS, draftTokens, level } from './verb-keys.ts';

/** What `serve` takes; its adapters are named apart. */
export const SERVE_KEYS = {
  ...BASE_KEYS,
  batchInvariant: booleanKey(true, {
    group: 'Model',
    about:
      'An answer does not depend on other requests at the same time; false is faster, and close choices ' +
      'may differ',
  }),
  level,
  chatTemplate: KEYS.chatTemplate,
  draftTokens,
  host: {
    ...textKey({
      group: 'Server',
      placeholder: 'address',
      about: 'Address to listen on. An address that other machines can reach needs api_key',
    }),
    schema: z.string().min(1).default('127.0.0.1'),
  },
  port: numberKey({ from: 0, to: 65_535, whole: true }, 8080, {
    group: 'Server',
    about: 'Port to listen on; 0: any free port',
  }),
  apiKey: textKey({
    group: 'Server',
    placeholder: 'key',
    about: 'Key that requests must send as Authorization: Bearer key',
  }),
  maxConcurrency: numberKey({ from: 1, to: 1024, whole: true }, 8, {
    group: 'Server',
    about: 'Number of answers that are generated at the same time',
  }),
  maxQueue: numberKey({ from: 0, to: 100_000, whole: true }, 64, {
    group: 'Server',
    about: 'Number of answers that may wait for their turn; further requests get status 503',
  }),
  context: optionalNumberKey(
    { from: 2, whole: true },
    {
      group: 'Server',
      about:
        'Maximum number of tokens in a prompt and its answer together; by default that of the model, but ' +
        'at most 8192 and what kv_memory holds',
    },
  ),
  kvMemory: bytesKey({
    group: 'Server',
    about: 'Memory for the keys and values of all answers; 1GiB by default',
  }),
  maxBody: bytesKey({ group: 'Server', about: 'Largest body of a request; 4MiB by default' }),
  // Node's timers end at 2^31 − 1 ms, and longer ones at once
  timeout: numberKey({ from: 0, above: true, to: 2_147_483 }, 600, {
    group: 'Server',
    about: 'Seconds after which a request is ended with status 504',
  }),
} satisfies Record<string, Key>;
