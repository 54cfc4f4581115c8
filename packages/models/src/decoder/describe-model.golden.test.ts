import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { openCheckpoint } from '@qdylora/checkpoint';
import { describe, expect, test } from 'vitest';
import { describeModel } from '../index.ts';

/**
 * What transformers 5.24 says of names and shapes on its `meta` device (maker in packages/testing/makers).
 */
const FOLDER = fileURLToPath(new URL('../../fixtures/', import.meta.url));
const read = <T>(file: string): T => JSON.parse(readFileSync(`${FOLDER}families/${file}`, 'utf8')) as T;

interface PaperModel {
  readonly config: Record<string, unknown>;
  readonly parameter_count: number;
  readonly layers: number;
  readonly weights: Record<string, number[]>;
}
const PAPER = Object.entries(read<{ models: Record<string, PaperModel> }>('paper-models.json').models);

describe('the models of the paper, by the values of their own config.json', () => {
  test.each(PAPER)(
    '%s has the weights that transformers builds: every name, every shape, the exact count',
    (_, { config, parameter_count: count, layers, weights: listed }) => {
      const { weights, parameterCount } = describeModel(config);
      const got = new Map(weights.map(({ name, shape }) => [name, shape]));
      const want = new Map(
        Object.entries(listed).flatMap(([name, shape]): [string, number[]][] =>
          name.includes('.0.')
            ? Array.from({ length: layers }, (__, layer) => [name.replace('.0.', `.${layer}.`), shape])
            : [[name, shape]],
        ),
      );
      expect(layers).toBeGreaterThan(30);
      expect([...got.keys()].sort()).toEqual([...want.keys()].sort());
      for (const [name, shape] of want) expect(got.get(name), name).toEqual(shape);
      expect(parameterCount).toBe(count);
    },
  );

  test('their sizes are those that the paper calls 7b, 13b, 13b and 40b', () => {
    expect(
      Object.fromEntries(PAPER.map(([name, { config }]) => [name, describeModel(config).parameterCount])),
    ).toEqual({
      'llama-7b': 6_738_415_616,
      'llama-13b': 13_015_864_320,
      'llama2-13b': 13_015_864_320,
      'falcon-40b': 41_303_293_952,
      'falcon-40b-untied': 41_835_970_560,
    });
  });
});

test.each(['falcon-40b', 'gpt2', 'gemma3', 'phi3', 'qwen2'])(
  'the weights of %s are exactly those of its file',
  async (name) => {
    using checkpoint = await openCheckpoint(`${FOLDER}${name}`);
    const { weights } = describeModel(checkpoint.config.raw);
    const shapes = (entries: Iterable<{ name: string; shape: readonly number[] }>): object =>
      Object.fromEntries([...entries].map((entry) => [entry.name, entry.shape]));
    expect(shapes(weights)).toEqual(shapes(checkpoint.tensors.values()));
  },
);
