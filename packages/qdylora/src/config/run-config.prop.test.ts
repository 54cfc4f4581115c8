import { snakeCase } from '@qdylora/contract';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { valuesOfOptions } from './explicit-values.ts';
import { KEY_NAMES, KEYS } from './keys.ts';
import { camelCase, kebabCase } from './names/names.ts';
import { parseRunYaml } from './yaml/read-run-yaml.ts';
import { resolveRun, type RunConfig } from './resolve-run.ts';
import { runYaml } from './yaml/write-run-yaml.ts';
import { addKeyFlags, explicitFlags, writeOutBooleans } from '../cli/key-flags.ts';
import { Command } from 'commander';

/** The text of a flag with `value`: the inverse of `flagValue`. */
const flagText = (value: unknown): string => (Array.isArray(value) ? value.join(',') : String(value));

const word = fc
  .stringMatching(/^[a-z][a-z0-9/._-]{0,12}$/)
  .filter((text) => !['true', 'false', 'null', 'y', 'n', 'yes', 'no', 'on', 'off'].includes(text));
const whole = (from: number, to: number) => fc.integer({ min: from, max: to });
const ranks = fc.uniqueArray(whole(1, 64), { minLength: 1, maxLength: 5 });

/** Any values that fit together, each key perhaps left out. */
const options = fc
  .record(
    {
      model: word,
      outputDir: word,
      adapter: word,
      seed: whole(0, 1e9),
      backend: fc.constantFrom('auto', 'cpu', 'cuda', 'host'),
      computeDtype: fc.constantFrom('f32', 'bf16', 'auto'),
      numThreads: whole(1, 8),
      batchInvariant: fc.boolean(),
      method: fc.constantFrom('qdylora', 'dylora', 'qlora', 'lora'),
      preset: fc.constant('paper'),
      quantization: fc.constantFrom('nf4', 'fp4', 'none'),
      doubleQuantization: fc.boolean(),
      quantizationBlockSize: fc.constantFrom(64, 128, 4096),
      ranks,
      rankDistribution: fc.constantFrom('uniform', 'geometric'),
      rankSchedule: fc.constantFrom('one', 'sandwich', 'all'),
      loraAlpha: fc.double({ min: 0.5, max: 64, noNaN: true }),
      loraScaling: fc.constantFrom('paper', 'sqrt', 'uniform', 'constant'),
      targetModules: fc.oneof(
        fc.constantFrom('all-linear', String.raw`.*layers\.\d{1,2}\.self_attn\.(q|v)_proj`, '.*[0,1].q_proj'),
        fc.uniqueArray(fc.constantFrom('q_proj', 'k_proj', 'v_proj'), { minLength: 2 }),
      ),
      loraDropout: fc.double({ min: 0, max: 0.9, noNaN: true }),
      dataset: fc.uniqueArray(word, { minLength: 1, maxLength: 3 }),
      valSetSize: whole(0, 100),
      packing: fc.boolean(),
      completionOnlyLoss: fc.boolean(),
      maxSeqLength: whole(2, 4096),
      learningRate: fc.double({ min: 1e-8, max: 1, noNaN: true }),
      lrScheduler: fc.constantFrom('cosine', 'linear', 'constant'),
      maxSteps: whole(1, 1e6),
      optimizerMemoryBudget: fc.oneof(whole(2 ** 20, 2 ** 40), fc.constantFrom('64KiB', '1.5 GB', '3GiB')),
      gradientCheckpointing: fc.oneof(
        fc.boolean(),
        whole(1, 1024),
        fc.constantFrom('8GiB', '1.5 GB', '64KiB'),
      ),
      evalBudgets: fc.array(fc.oneof(whole(2 ** 20, 2 ** 40), fc.constantFrom('64KiB', '1.5 GB')), {
        minLength: 1,
      }),
      saveSteps: whole(0, 1000),
      warmupSteps: whole(0, 99),
      warmupRatio: fc.double({ min: 0, max: 0.9, noNaN: true }),
    },
    { requiredKeys: [] },
  )
  .map(({ warmupRatio, ...chosen }) =>
    warmupRatio === undefined || chosen.warmupSteps !== undefined ? chosen : { ...chosen, warmupRatio },
  )
  .map(({ evalBudgets, ...chosen }) =>
    chosen.valSetSize && evalBudgets ? { ...chosen, evalBudgets } : chosen,
  )
  .map((chosen) =>
    chosen.optimizerMemoryBudget === undefined ? chosen : { ...chosen, optimizer: 'paged_adamw_8bit' },
  );

type Options = Record<string, unknown>;

const byOptions = (runOptions: Options): RunConfig => resolveRun(valuesOfOptions(runOptions));
const byYaml = async (runOptions: Options): Promise<RunConfig> =>
  resolveRun(
    await parseRunYaml(
      stringify(
        Object.fromEntries(Object.entries(runOptions).map(([key, value]) => [snakeCase(key), value])),
      ),
      'run.yaml',
    ),
  );
function byFlags(runOptions: Options): RunConfig {
  const argv = Object.entries(runOptions).flatMap(([key, value]) =>
    typeof value === 'boolean'
      ? [`--${value ? '' : 'no-'}${kebabCase(key)}`]
      : [`--${kebabCase(key)}`, flagText(value)],
  );
  const command = addKeyFlags(new Command().exitOverride(), KEYS).parse(writeOutBooleans(argv, KEYS), {
    from: 'user',
  });
  return resolveRun(explicitFlags(KEYS, command.opts()));
}

describe('the keys of a run', () => {
  it.each(KEY_NAMES)('%s has the same name after every respelling', (name) => {
    expect([
      camelCase(snakeCase(name)),
      camelCase(kebabCase(name)),
      snakeCase(camelCase(snakeCase(name))),
    ]).toEqual([name, name, snakeCase(name)]);
  });

  it('mean the same as YAML, as flags and as options', async () => {
    await fc.assert(
      fc.asyncProperty(options, async (runOptions) => {
        const resolved = byOptions(runOptions);
        expect(await byYaml(runOptions)).toEqual(resolved);
        expect(byFlags(runOptions)).toEqual(resolved);
      }),
      { numRuns: 150 },
    );
  });

  it('are the same again when run.yaml is read back', async () => {
    await fc.assert(
      fc.asyncProperty(options, async (runOptions) => {
        const resolved = byOptions(runOptions);
        expect(resolveRun(await parseRunYaml(await runYaml(resolved), 'run.yaml'))).toEqual(resolved);
      }),
      { numRuns: 150 },
    );
  });

  it('are booleans in all four spellings, and never swallow the word behind them', () => {
    expect(
      writeOutBooleans(
        [
          'train',
          '--packing',
          'run.yaml',
          '--no-double-quantization',
          '--packing',
          'false',
          '--',
          '--packing',
        ],
        KEYS,
      ),
    ).toEqual([
      'train',
      '--packing=true',
      'run.yaml',
      '--double-quantization=false',
      '--packing=false',
      '--',
      '--packing',
    ]);
  });
});
