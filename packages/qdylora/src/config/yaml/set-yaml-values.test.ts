import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { setYamlValues } from './set-yaml-values.ts';

const lines = fc.uniqueArray(
  fc.constantFrom(
    'model: models/smollm2   # the base',
    'ranks: [1,2, 4]',
    '# a comment of its own',
    'learning_rate: 2.0e-4 # peak',
    "output_dir: 'runs/x'",
    'dataset:\n  - a.jsonl # first\n  - b.jsonl',
    'lora_alpha:   16',
    '',
    'chat_template: |\n  {{ x }}\n  learning_rate: 7',
  ),
);

describe('setting a value of a run file', () => {
  it('keeps every other byte: comments, order, and how other values are written', async () => {
    await fc.assert(
      fc.asyncProperty(lines, async (chosen) => {
        const text = chosen.map((line) => `${line}\n`).join('');
        const changed = await setYamlValues(text, { learning_rate: '8e-4' });
        const before = text === '' ? {} : ((parse(text) ?? {}) as object);
        expect(parse(changed)).toEqual({ ...before, learning_rate: 8e-4 });
        const had = chosen.includes('learning_rate: 2.0e-4 # peak');
        expect(changed).toBe(
          had
            ? text.replace('learning_rate: 2.0e-4 # peak', 'learning_rate: 8e-4 # peak')
            : `${text}learning_rate: 8e-4\n`,
        );
      }),
    );
  });

  it.each([
    ['learning_rate:\nseed: 1\n', 'learning_rate: 8e-4\nseed: 1\n'],
    ['seed: 1', 'seed: 1\nlearning_rate: 8e-4\n'],
    ['{ seed: 1, learning_rate: 2e-4 } # all', '{ seed: 1, learning_rate: 8e-4 } # all'],
    ['learning_rate: 2e-4\r\nseed: 1\r\n', 'learning_rate: 8e-4\r\nseed: 1\r\n'],
    ['', 'learning_rate: 8e-4\n'],
    ['learning_rate:   # later\n', 'learning_rate:   8e-4 # later\n'],
    ['---\nseed: 1\n...\n', '---\nseed: 1\nlearning_rate: 8e-4\n...\n'],
    ['{"seed": 1}', '{"seed": 1, "learning_rate": 8e-4}'],
    ['{"seed": 1,}', '{"seed": 1,"learning_rate": 8e-4}'],
    ['{"seed": 1,\n}\n', '{"seed": 1,\n"learning_rate": 8e-4}\n'],
    ['{}', '{"learning_rate": 8e-4}'],
    ['  model: x # the base\n  seed: 1\n', '  model: x # the base\n  seed: 1\n  learning_rate: 8e-4\n'],
  ])('of %j gives %j', async (text, expected) => {
    expect(await setYamlValues(text, { learning_rate: '8e-4' })).toBe(expected);
  });

  it.each(['learning_rate: &lr 1e-3\nadam_epsilon: *lr\n', 'learning_rate: |\n  1e-3\nseed: 1\n'])(
    'never changes another value: %j is refused',
    async (text) => {
      await expect(setYamlValues(text, { learning_rate: '8e-4' })).rejects.toThrow(
        /^\[learning_rate\] `learning_rate` cannot be set .* Write it yourself: learning_rate: 8e-4/,
      );
    },
  );
});
