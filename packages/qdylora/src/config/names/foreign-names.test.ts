import { snakeCase } from '@qdylora/contract';
import { describe, expect, it } from 'vitest';
import { SPELLINGS } from '../explicit-values.ts';
import { KEY_NAMES } from '../keys.ts';
import { ABSENT_NAMES } from './absent-names.ts';
import { FOREIGN_NAMES } from './foreign-names.ts';
import { adviceFor, meantKey } from './unknown-key.ts';

describe('a name of another trainer', () => {
  it('is no key, and names a key', () => {
    const keys = new Set<string>(KEY_NAMES.map(snakeCase));
    for (const [foreign, { key, readKey }] of FOREIGN_NAMES)
      expect([foreign, keys.has(foreign), keys.has(key), keys.has(readKey ?? key)]).toEqual([
        foreign,
        false,
        true,
        true,
      ]);
  });

  it.each([
    ['early_stopping_threshold', 0.01, 'It is called `early_stopping_min_delta` here.'],
    ['load_best_model_at_end', true, 'The adapter of the best evaluation is always kept, in adapter-best '],
    ['metric_for_best_model', 'eval_loss', 'The best evaluation has the lowest mean held-out loss'],
    ['greater_is_better', false, 'The best evaluation has the lowest mean held-out loss'],
  ])('about the best evaluation is answered: %s', (written, value, advice) => {
    expect(adviceFor({ written, value, spell: SPELLINGS.yaml, keys: KEY_NAMES })).toContain(advice);
  });

  it.each([
    ['bf16', true, 'It is called `compute_dtype` here. `true` is `bf16` here.'],
    ['fp16', true, 'It is called `compute_dtype` here. `true` is `f16` here.'],
    ['bf16', 'auto', 'It is called `compute_dtype` here.'],
    ['evals_per_epoch', 4, 'It is called `eval_steps` here. It is a number of optimizer steps.'],
    ['lora_target', 'all', 'It is called `target_modules` here. `all` is `all-linear` here.'],
    ['init_lora_weights', 'eva', 'It is called `adapter_init` here. `eva` is `activations` here.'],
  ])('with another value is answered with ours: %s: %s', (written, value, advice) => {
    expect(adviceFor({ written, value, spell: SPELLINGS.yaml, keys: KEY_NAMES })).toBe(advice);
  });

  it('that one command reads and another writes names the key that there is', () => {
    const advice = (keys: string[]): string =>
      adviceFor({ written: '--adapter-path', spell: SPELLINGS.flags, keys });
    expect(advice(['adapter', 'rank'])).toBe('It is called `--adapter` here.');
    expect(advice(['adapter', 'outputDir'])).toMatch(/^The folder to write to is `--output-dir` here, /);
  });

  it('without a counterpart is answered with the reason, not with a name that looks like it', () => {
    const keys = KEY_NAMES;
    for (const written of ABSENT_NAMES) {
      const unknown = { written, spell: SPELLINGS.yaml, keys };
      expect([written, FOREIGN_NAMES.has(written), meantKey(unknown)]).toEqual([written, false, null]);
      expect(adviceFor(unknown)).not.toMatch(/^(Did you mean|No key has|It is called)/);
    }
    const evalBatch = { written: '--eval-batch-size', spell: SPELLINGS.flags, keys };
    expect(adviceFor(evalBatch)).toMatch(/^Evaluation chooses its batches itself/);
  });
});
