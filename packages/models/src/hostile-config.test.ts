import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { QdyloraError } from '@qdylora/contract';
import { describe, expect, test } from 'vitest';
import { describeModel, FAMILIES } from './index.ts';

const FOLDER = fileURLToPath(new URL('../fixtures/', import.meta.url));
const CASES = [
  'llama-rope-yarn',
  'llama-rope-llama3',
  'mistral-window',
  'qwen2-window',
  'qwen3',
  'gemma',
  'gemma2',
  'gemma3',
  'phi3',
  'falcon-40b',
  'falcon-rw-six-heads',
  'gpt-neox-parallel',
  'gpt2',
];
const VALUES: readonly unknown[] = [
  -1,
  0,
  0.5,
  3,
  1e9,
  2 ** 31,
  2 ** 53,
  1e308,
  -1e308,
  '8',
  null,
  [],
  {},
  true,
  ['x'],
  { rope_type: 'linear' },
  'a'.repeat(1e5),
];

type Json = Record<string, unknown>;

/** Every key of a config, and of its rotary parameters. */
const pathsOf = (raw: Json): string[][] => [
  ...Object.keys(raw).map((key) => [key]),
  ...['rope_parameters', 'rope_scaling'].flatMap((key) =>
    Object.keys((raw[key] ?? {}) as Json).map((inner) => [key, inner]),
  ),
];

function changed(raw: Json, path: readonly string[], value: unknown): Json {
  const copy = structuredClone(raw);
  const at = path.slice(0, -1).reduce<Json>((inner, key) => inner[key] as Json, copy);
  at[path.at(-1)!] = value;
  return copy;
}

/**
 * What is wrong with how a config was taken; null where it was read into numbers that can be computed with,
 * or refused with a typed error.
 */
function wrongWith(config: Json): string | null {
  const start = process.cpuUsage();
  const before = process.memoryUsage();
  try {
    const {
      parameterCount,
      config: { attention, epsilon },
    } = describeModel(config);
    if (!(parameterCount > 0) || !(epsilon >= 0)) return `${parameterCount} parameters, epsilon ${epsilon}`;
    for (const { scale, rope } of new Set(attention))
      if (!(scale > 0) || (rope && !rope.frequencies.every(Number.isFinite)))
        return 'attention without numbers';
  } catch (error) {
    if (!QdyloraError.isInstance(error)) return `an untyped error: ${String(error)}`;
  }
  const spent = process.cpuUsage(start);
  const after = process.memoryUsage();
  if (spent.user + spent.system > 1e6) return 'more than a second';
  return after.heapUsed + after.arrayBuffers - before.heapUsed - before.arrayBuffers > 100e6
    ? 'more than 100 MB'
    : null;
}

describe(
  'a hostile value under any key of a config gives numbers to compute with or a typed error, within ' +
    'a second and 100 MB',
  () => {
    test.each(
      CASES.flatMap((name) => ['config.json', 'config.legacy.json'].map((file) => `${name}/${file}`)),
    )('%s', (file) => {
      const raw = JSON.parse(readFileSync(`${FOLDER}${file}`, 'utf8')) as Json;
      const paths = pathsOf(raw);
      expect(wrongWith(raw)).toBeNull();
      for (const path of paths)
        for (const value of VALUES)
          expect(
            wrongWith(changed(raw, path, value)),
            `${path.join('.')} = ${JSON.stringify(value).slice(0, 40)}`,
          ).toBeNull();
    });

    test('for every family', () => {
      expect(
        new Set(
          CASES.map(
            (name) => (JSON.parse(readFileSync(`${FOLDER}${name}/config.json`, 'utf8')) as Json).model_type,
          ),
        ),
      ).toEqual(new Set(FAMILIES.keys()));
    });

    test.each<[string, unknown, RegExp]>([
      [
        'num_hidden_layers',
        1e9,
        /num_hidden_layers of a llama model must be a whole number from 1 to 4096 \(got 1000000000\)/,
      ],
      ['hidden_size', -64, /hidden_size.*got -64/],
      ['num_attention_heads', '8', /`num_attention_heads` must be a whole number \(got string "8"\)/],
      ['rms_norm_eps', -1, /epsilon/],
      ['head_dim', 2 ** 31, /head_dim/],
      ['rope_theta', 0, /`rope_theta` must be greater than 0 \(got 0\)/],
    ])('%s = %j says what was expected', (key, value, message) => {
      expect(() =>
        describeModel({
          ...(JSON.parse(readFileSync(`${FOLDER}llama-mha/config.legacy.json`, 'utf8')) as Json),
          [key]: value,
        }),
      ).toThrowError(message);
    });
  },
);
