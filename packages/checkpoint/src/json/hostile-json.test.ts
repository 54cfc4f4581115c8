import { mkdirSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryFolder } from '@qdylora/testing/node';
import { describe, expect, it } from 'vitest';
import { openCheckpoint } from '../open-checkpoint.ts';
import { readPeftAdapter } from '../peft-adapter/read.ts';
import { cpuStopwatch } from '../test-support/cpu-stopwatch.ts';
import { rejectionOf } from '../test-support/error-of.ts';
import {
  assertJsonLimits,
  CONFIG_LIMITS,
  INDEX_LIMITS,
  TOKENIZER_LIMITS,
  type JsonLimits,
} from './json-limits.ts';

const root = temporaryFolder();
const MEGABYTE = 2 ** 20;

/** Documents that are small as files and large as values, of about so many bytes. */
const BOMBS: readonly [string, (bytes: number) => string][] = [
  ['empty objects', (bytes) => `{"a":[${'{},'.repeat(bytes / 3)}{}]}`],
  ['empty lists', (bytes) => `{"a":[${'[],'.repeat(bytes / 3)}[]]}`],
  ['numbers', (bytes) => `{"a":[${'1,'.repeat(bytes / 2)}1]}`],
  ['brackets inside brackets', (bytes) => `{"a":${'['.repeat(bytes / 2)}${']'.repeat(bytes / 2)}}`],
  [
    'keys',
    (bytes) => `{${Array.from({ length: bytes / 12 }, (_, i) => `"k${i.toString(36)}":0`).join(',')}}`,
  ],
  ['objects inside objects', (bytes) => `${'{"a":'.repeat(bytes / 6)}0${'}'.repeat(bytes / 6)}`],
];

/** A folder whose config, index, tokenizer and adapter config are tried with one text. */
function folderWith(name: string, file: string, text: string): string {
  const folder = join(root, name.replaceAll(' ', '-'));
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'config.json'), '{"model_type":"llama"}');
  writeFileSync(join(folder, file), text);
  return folder;
}

const OPENERS: readonly [string, number, (folder: string) => Promise<unknown>][] = [
  ['config.json', 4 * MEGABYTE - 100, openCheckpoint],
  ['model.safetensors.index.json', 16 * MEGABYTE - 100, openCheckpoint],
  ['adapter_config.json', 4 * MEGABYTE - 100, async (folder) => readPeftAdapter(folder)],
  [
    'tokenizer.json',
    48 * MEGABYTE,
    async (folder) => {
      using checkpoint = await openCheckpoint(folder);
      return checkpoint.tokenizerFiles.tokenizerJson;
    },
  ],
];

describe('a JSON file that is a bomb is refused within a second of work and 100 MB of values', () => {
  for (const [file, bytes, open] of OPENERS) {
    it.each(BOMBS)(`${file}: %s`, async (name, make) => {
      const folder = folderWith(`${file}-${name}`, file, make(bytes));
      const before = process.memoryUsage().heapUsed;
      const elapsed = cpuStopwatch();
      await rejectionOf(open(folder), 'BAD_FILE');
      expect(elapsed()).toBeLessThan(1000);
      // the text itself is up to 48 MB of it
      expect(process.memoryUsage().heapUsed - before).toBeLessThan(150e6);
    });
  }

  it('a tokenizer.json of 100 MB and a config of a gigabyte are refused by their sizes', async () => {
    for (const [file, bytes, open] of [
      ['tokenizer.json', 100e6, OPENERS[3][2]],
      ['config.json', 2 ** 30, openCheckpoint],
    ] as const) {
      const folder = folderWith(`large-${file}`, file, '{"model":');
      const elapsed = cpuStopwatch();
      truncateSync(join(folder, file), bytes);
      expect((await rejectionOf(open(folder), 'BAD_FILE')).message).toMatch(
        /bytes, more than the limit of \d+/,
      );
      expect(elapsed()).toBeLessThan(1000);
    }
  });
});

describe('the limits of JSON', () => {
  const check =
    (text: string, change: Partial<JsonLimits> = {}) =>
    () =>
      assertJsonLimits('x.json', 'json', text, { ...CONFIG_LIMITS, ...change });

  it('count outside of strings only, whatever stands in them', () => {
    expect(
      check('{"a[{,:":"\\\\\\"[[[{{{,,,:::","b":"\\\\"}', { depth: 1, lists: 0, values: 1, keys: 2 }),
    ).not.toThrow();
    expect(check('{"a":"unended [[[[', { lists: 0 })).not.toThrow(); // JSON.parse says what is wrong with it
    expect(check('[[1]]', { depth: 1 })).toThrow(/more than 1 levels/);
    expect(check('{"a\\\\":[]}', { lists: 0 })).toThrow(/more than 0 lists/);
  });

  it('leave room for the largest files that there are', () => {
    const gemma3 = {
      objects: 6_450,
      lists: 514_930,
      keys: 262_208 + 7 * 6_415,
      values: 262_208 + 2 * 514_906 + 7 * 6_415,
    };
    for (const [key, most] of Object.entries(gemma3))
      expect(TOKENIZER_LIMITS[key as keyof typeof gemma3]).toBeGreaterThan(1.9 * most);
    expect(INDEX_LIMITS.keys).toBeGreaterThan(2 * 91_991);
  });
});
