import * as z from 'zod';
import { optionalNumberKey, type Key } from './key.ts';
import { KEYS, type KeyName } from './keys.ts';

/**
 * Steps of a finish as a share of those of the run, by default. A tenth makes ranks 8 and 64 equal to
 * dedicated runs. Rank 1 needs more (docs/research/every-rank.md).
 */
export const finishShare = (rank: number): number => (rank === 1 ? 0.2 : 0.1);

/** What `finish` takes besides the keys of a run. */
export const FINISH_ONLY_KEYS = {
  rank: optionalNumberKey(
    { from: 1, whole: true },
    { group: 'Adapter', about: 'The rank to train further, one of those that the run trained' },
  ),
  share: optionalNumberKey(
    { from: 0, above: true, to: 1 },
    {
      group: 'Training',
      about: 'Steps, as a share of the steps that the run took; default: 0.1, and 0.2 at rank 1',
    },
  ),
} satisfies Record<string, Key>;

/** Keys that a run of one slice does not have. */
export const NESTED_ONLY_KEYS = [
  'method',
  'preset',
  'init',
  'adapter',
  'adapterInit',
  'adapterInitNorm',
  'loraR',
  'ranks',
  'rankDistribution',
  'rankSchedule',
  'rankSegments',
  'rankLossWeights',
  'wideRatio',
  'wideRates',
  'distillation',
  'distillationTopK',
  'distillationStudent',
  'updateRule',
  'maxRankByWorker',
  'evalRanks',
  'evalBudgets',
] as const satisfies readonly KeyName[];
export type NestedOnlyKey = (typeof NESTED_ONLY_KEYS)[number];

export const isNestedOnly = (name: string): name is NestedOnlyKey =>
  (NESTED_ONLY_KEYS as readonly string[]).includes(name);

/** What is not taken from the earlier run as it is. */
const OTHER_DEFAULTS: { readonly [N in KeyName]?: string } = {
  learningRate:
    'Peak learning rate; default: a fifth of the peak of the run, or 0.5/√rank of it if that is more and ' +
    'lora_scaling is not tapered',
  optimizerState:
    'Checkpoint folder whose optimizer moments the run starts with; default: the last checkpoint of the run',
  maxSteps: 'Optimizer steps; default: share times the steps of the run',
  outputDir: 'Folder for the result; it must not be the folder of the run',
};

/**
 * The flags of `finish`. A key that is not set has the value of the earlier run, so none has a default.
 * Values are checked together with those of that run.
 */
export const FINISH_KEYS: Readonly<Record<string, Key>> = {
  ...FINISH_ONLY_KEYS,
  ...Object.fromEntries(
    Object.entries(KEYS)
      .filter(([name]) => !isNestedOnly(name))
      .map(([name, key]: [string, Key]) => [
        name,
        { ...key, about: OTHER_DEFAULTS[name as KeyName] ?? key.about, schema: z.unknown() },
      ]),
  ),
};
