import { readByteSize } from './byte-size.ts';
import * as z from 'zod';
import { BAD_ROW_POLICIES, DATASET_FORMATS } from '@qdylora/data';
import {
  RANK_DISTRIBUTIONS,
  RANK_SCALINGS,
  RANK_SCHEDULES,
  UPDATE_RULES,
  type RankScaling,
  type RankSchedule,
  type UpdateRule,
} from '@qdylora/lora-dynamic';
import { BLOCK_SIZES } from '@qdylora/quant';
import { DEFAULT_PATIENCE, SCHEDULE_NAMES } from '@qdylora/trainer';
import {
  booleanKey,
  bytesKey,
  choiceKey,
  choicesKey,
  filesKey,
  numberKey,
  optionalBooleanKey,
  optionalChoiceKey,
  optionalNumberKey,
  textKey,
  type Key,
} from './key.ts';

export const METHODS = ['qdylora', 'dylora', 'qlora', 'lora', 'none'] as const;
export type Method = (typeof METHODS)[number];
export const QUANTIZATIONS = ['nf4', 'fp4', 'none'] as const;
export const BACKENDS = ['auto', 'cpu', 'host'] as const;

/** Optimizers by their names in the field; the ones that run today stand in AVAILABLE (resolve-run.ts). */
export const OPTIMIZERS = [
  'adamw_32bit',
  'adamw_8bit',
  'paged_adamw_32bit',
  'paged_adamw_8bit',
  'lion_8bit',
  'sgd',
] as const;

const asTuple = <T extends string>(list: readonly T[]): readonly [T, ...T[]] =>
  list as unknown as readonly [T, ...T[]];

function isPattern(text: string): boolean {
  try {
    return new RegExp(text) instanceof RegExp;
  } catch {
    return false;
  }
}

/**
 * Plain names are ends of names, also when there is only one; anything else that is text is a regular
 * expression for the whole name.
 */
const targetModules = z.union([
  z
    .string()
    .min(1)
    .refine(isPattern)
    .transform((text) => (text !== 'all-linear' && /^[\w.]+$/.test(text) ? [text] : text)),
  z.array(z.string().min(1)).min(1),
]);

/** All or none, so many layers at a time, or the memory that the whole run may take. */
const gradientCheckpointing = z.union([
  z.boolean(),
  z.number().int().gte(1).lte(1024),
  z.string().refine((text) => /[A-Za-z]/.test(text) && readByteSize(text) !== null),
]);

/**
 * Every key of a run, once: from here come the YAML keys, the flags, the TypeScript options, their defaults,
 * the help and the messages.
 * Null means left out. Words are the field's (shared vocabulary of transformers, PEFT and axolotl).
 */
export const KEYS = {
  model: textKey({
    group: 'Model',
    about:
      'Folder, .safetensors or .gguf file of the base model, or its name on the hub: org/name[@revision]',
  }),
  init: textKey({
    group: 'Model',
    about: 'config.json to start from random weights with (method none); tokenizer.json lies beside it',
  }),
  backend: choiceKey(BACKENDS, 'auto', {
    group: 'Model',
    about: 'cpu = C++ kernels, host = TypeScript only, auto = the best that works here',
  }),
  computeDtype: choiceKey(['auto', 'f32', 'bf16'], 'auto', {
    group: 'Model',
    about: "Type of the products' operands; auto = bf16 where the processor has instructions for it",
  }),
  numThreads: optionalNumberKey(
    { from: 1, to: 1024, whole: true },
    { group: 'Model', about: 'Threads of the kernels; all by default. Results do not depend on it' },
  ),
  batchInvariant: booleanKey(false, {
    group: 'Model',
    about:
      'One kernel per op whatever the number of rows: a token gets the same bits alone and among others; ' +
      'generation is slower',
  }),
  seed: numberKey({ from: 0, to: Number.MAX_SAFE_INTEGER, whole: true }, 0, {
    group: 'Model',
    about: 'Of everything random',
  }),

  method: choiceKey(METHODS, 'qdylora', {
    group: 'Method',
    about: 'Preset for quantization and ranks; none = full training',
  }),
  preset: optionalChoiceKey(['paper'], {
    group: 'Method',
    about: 'paper = one rank a step, alpha/b, alpha 16 (QDyLoRA as published)',
  }),
  quantization: choiceKey(QUANTIZATIONS, 'nf4', {
    group: 'Method',
    about: 'How the frozen matrices are stored',
  }),
  doubleQuantization: booleanKey(true, { group: 'Method', about: 'Block scales in 8 bits too' }),
  quantizationBlockSize: {
    group: 'Method',
    about: 'Weights that share one scale',
    flag: 'number',
    expected: `one of ${BLOCK_SIZES.join(', ')}`,
    schema: z
      .number()
      .refine((size) => BLOCK_SIZES.includes(size as never))
      .default(64),
  },

  adapter: textKey({ group: 'Adapter', about: 'Folder of an adapter to start from' }),
  loraR: numberKey({ from: 1, to: 4096, whole: true }, 64, { group: 'Adapter', about: 'The largest rank' }),
  ranks: {
    group: 'Adapter',
    about: 'Ranks that come out of the run; powers of two up to lora_r by default',
    flag: 'numbers',
    expected: 'a list of whole numbers ≥ 1, each once,',
    schema: z
      .array(z.number().int().gte(1).lte(4096))
      .min(1)
      .refine((list) => new Set(list).size === list.length)
      .transform((list) => [...list].sort((a, b) => a - b))
      .nullable()
      .default(null),
  },
  rankDistribution: {
    group: 'Adapter',
    about:
      'How often each rank is drawn: uniform, geometric (small ranks often), tail_heavy (as often as it ' +
      'adds rows), or one weight per rank',
    flag: 'word-or-numbers',
    expected: `${RANK_DISTRIBUTIONS.join(', ')} or a list of weights`,
    schema: z.union([z.enum(RANK_DISTRIBUTIONS), z.array(z.number().gte(0)).min(1)]).default('uniform'),
  },
  rankSchedule: choiceKey<readonly [RankSchedule, ...RankSchedule[]], RankSchedule>(
    asTuple(RANK_SCHEDULES),
    'sandwich',
    {
      group: 'Adapter',
      about:
        'Ranks of one step: one drawn, one for each part, several stratified, half of the parts at the ' +
        'largest (sandwich), or the whole step at all',
    },
  ),
  rankSegments: optionalNumberKey(
    { from: 1, to: 4096, whole: true },
    {
      group: 'Adapter',
      about:
        'Parts of a micro batch that see ranks of their own, cut between rows; 2 where a step has one ' +
        'micro batch, else 1. With 1 part in all, ranks take turns over the steps',
    },
  ),
  rankLossWeights: {
    group: 'Adapter',
    about: 'Factor on the loss of each rank',
    flag: 'numbers',
    expected: 'one number > 0 for each rank',
    schema: z.array(z.number().gt(0)).min(1).nullable().default(null),
  },
  loraAlpha: numberKey({ from: 0, above: true }, 8, { group: 'Adapter', about: 'Numerator of the scale' }),
  loraScaling: choiceKey<readonly [RankScaling, ...RankScaling[]], RankScaling>(
    asTuple(RANK_SCALINGS),
    'sqrt',
    { group: 'Adapter', about: 'Scale at rank b of R: paper alpha/b, sqrt alpha/√b, constant alpha/R' },
  ),
  updateRule: choiceKey<readonly [UpdateRule, ...UpdateRule[]], UpdateRule>(asTuple(UPDATE_RULES), 'prefix', {
    group: 'Adapter',
    about: 'What a step at rank b trains: all rows up to b, or only the newest block',
  }),
  loraDropout: numberKey({ from: 0, to: 1, below: true }, 0, {
    group: 'Adapter',
    about: "Share of an adapter's input that is dropped in training",
  }),
  targetModules: {
    group: 'Adapter',
    about: 'all-linear, names of layers, or a regular expression for whole names',
    flag: 'word-or-texts',
    expected: 'all-linear, a list of names or a regular expression',
    schema: targetModules.default('all-linear'),
  },

  dataset: filesKey({
    group: 'Data',
    about:
      'Training rows: .jsonl, .json and .parquet files, .txt as plain text; patterns such as data/*.jsonl',
  }),
  datasetWeights: {
    group: 'Data',
    about: 'How often the rows of each name in dataset come in an epoch: 2 = twice, 0.5 = half of them',
    flag: 'numbers',
    expected: 'a list of numbers ≥ 0, one for each name in dataset,',
    schema: z.array(z.number().gte(0)).min(1).nullable().default(null),
  },
  evalDataset: filesKey({ group: 'Data', about: 'Rows for the held-out loss' }),
  valSetSize: numberKey({ from: 0 }, 0, {
    group: 'Data',
    about:
      'Rows of dataset that are held out: a count, or a fraction below 1; what they say decides, so equal ' +
      'rows stay together',
  }),
  streaming: optionalBooleanKey({
    group: 'Data',
    about:
      'Rows stay in their files and are read when they are needed; by default where the files are over 64 MiB',
  }),
  onBadRow: choiceKey(BAD_ROW_POLICIES, 'error', {
    group: 'Data',
    about: 'A row that cannot be used stops the run, or is skipped and counted',
  }),
  datasetFormat: optionalChoiceKey(DATASET_FORMATS, {
    group: 'Data',
    about: 'Shape of the rows; the first one decides by default',
  }),
  applyChatTemplate: booleanKey(false, {
    group: 'Data',
    about: 'Prompts and answers through the chat template; messages always are',
  }),
  completionOnlyLoss: optionalBooleanKey({
    group: 'Data',
    about: 'Loss on answers only, in rows that tell them from prompts; true by default',
  }),
  maxSeqLength: numberKey({ from: 2, to: 2 ** 20, whole: true }, 1024, {
    group: 'Data',
    about: 'Tokens of a row; longer ones are cut',
  }),
  packing: booleanKey(false, {
    group: 'Data',
    about: 'Several rows in one sequence; they never see each other',
  }),
  groupByLength: booleanKey(false, {
    group: 'Data',
    about: 'Steps of rows of like length, for steady times and memory',
  }),

  microBatchSize: numberKey({ from: 1, to: 65536, whole: true }, 4, {
    group: 'Training',
    about: 'Rows of one pass',
  }),
  gradientAccumulationSteps: numberKey({ from: 1, to: 65536, whole: true }, 2, {
    group: 'Training',
    about: 'Passes of one step',
  }),
  numEpochs: numberKey({ from: 0, above: true }, 1, { group: 'Training', about: 'Times round the data' }),
  maxSteps: optionalNumberKey(
    { from: 1, whole: true },
    { group: 'Training', about: 'Steps; beats num_epochs and goes round the data' },
  ),
  learningRate: numberKey({ from: 0, above: true }, 2e-4, { group: 'Training', about: 'The peak' }),
  lrScheduler: choiceKey(SCHEDULE_NAMES, 'cosine', {
    group: 'Training',
    about: 'How the learning rate falls after warm-up',
  }),
  minLearningRateRatio: numberKey({ from: 0, to: 1 }, 0, {
    group: 'Training',
    about: 'Where cosine, polynomial and warmup_stable_decay end, as a share of the peak',
  }),
  warmupRatio: optionalNumberKey(
    { from: 0, to: 1, below: true },
    { group: 'Training', about: 'Share of the steps in which the learning rate rises; 0.05 by default' },
  ),
  warmupSteps: optionalNumberKey(
    { from: 0, whole: true },
    { group: 'Training', about: 'The same as a count, instead of warmup_ratio' },
  ),
  lrNumCycles: optionalNumberKey(
    { from: 0, above: true },
    { group: 'Training', about: 'Waves of a cosine (0.5), or how often cosine_with_restarts begins (1)' },
  ),
  lrPower: optionalNumberKey(
    { from: 0, above: true },
    { group: 'Training', about: 'Of polynomial; 1 by default' },
  ),
  lrTimescale: optionalNumberKey(
    { from: 0, above: true },
    { group: 'Training', about: 'Steps in which inverse_sqrt falls to 1/√2; the warm-up by default' },
  ),
  lrNumDecaySteps: optionalNumberKey(
    { from: 0, whole: true },
    { group: 'Training', about: 'Steps in which warmup_stable_decay falls; a tenth by default' },
  ),
  weightDecay: numberKey({ from: 0 }, 0, {
    group: 'Training',
    about: 'Of matrices; decoupled, except in sgd',
  }),
  maxGradNorm: numberKey({ from: 0 }, 1, {
    group: 'Training',
    about: 'Longest gradient; longer ones are scaled down. 0 = never',
  }),
  optimizer: choiceKey(OPTIMIZERS, 'adamw_32bit', {
    group: 'Training',
    about: '8bit: states of a byte in blocks of 256; paged: within optimizer_memory_budget, the same bits',
  }),
  adamBeta1: optionalNumberKey(
    { from: 0, to: 1, below: true },
    { group: 'Training', about: 'Decay of the first moment, also of lion; 0.9 by default' },
  ),
  adamBeta2: optionalNumberKey(
    { from: 0, to: 1, below: true },
    { group: 'Training', about: 'Decay of the second moment: 0.999 by default; lion: 0.99' },
  ),
  adamEpsilon: optionalNumberKey(
    { from: 0, above: true },
    { group: 'Training', about: 'Added to the root of the second moment; 1e-8 by default' },
  ),
  optimizerMemoryBudget: bytesKey({
    group: 'Training',
    about: 'Memory for the states of a paged optimizer (64KiB, 1GiB); half of what is free by default',
  }),
  pageDir: textKey({
    group: 'Training',
    about: 'Folder on a disk for the pages beyond the budget; output_dir by default',
  }),
  gradientCheckpointing: {
    group: 'Training',
    about:
      'Run layers again in backward instead of keeping what they compute: each, n at a time, or as few as ' +
      'the run then fits with into so many bytes (8GiB). The same bits',
    flag: 'boolean-or-size',
    expected: 'true, false, a number of layers from 1 to 1024, or bytes with a unit such as 8GiB,',
    schema: gradientCheckpointing.default(true),
  },

  outputDir: textKey({ group: 'Evaluation and saving', about: 'Folder for everything that the run writes' }),
  resumeFromCheckpoint: {
    ...textKey({
      placeholder: 'auto|path',
      group: 'Evaluation and saving',
      about: 'auto = go on where output_dir stopped, or start; or a folder of checkpoints/',
    }),
    expected: 'auto or the folder of a checkpoint',
  },
  evalSteps: numberKey({ from: 0, whole: true }, 0, {
    group: 'Evaluation and saving',
    about: 'Steps between evaluations; 0 = only at the end',
  }),
  evalRanks: {
    group: 'Evaluation and saving',
    about: 'Ranks that evaluations between steps judge; all by default. The report at the end has all',
    flag: 'numbers',
    expected: 'a list of whole numbers ≥ 1',
    schema: z
      .array(z.number().int().gte(1).lte(4096))
      .min(1)
      .transform((list) => [...new Set(list)].sort((a, b) => a - b))
      .nullable()
      .default(null),
  },
  earlyStopping: {
    group: 'Evaluation and saving',
    about:
      'Ends the run where evaluations no longer get better: a rank (its held-out loss) or aurac (the gain ' +
      'over all judged ranks)',
    flag: 'number',
    placeholder: 'rank|aurac',
    expected: 'a rank or aurac',
    schema: z
      .union([z.literal('aurac'), z.number().int().gte(1)])
      .nullable()
      .default(null),
  },
  earlyStoppingPatience: numberKey({ from: 1, whole: true }, DEFAULT_PATIENCE, {
    group: 'Evaluation and saving',
    about: 'Evaluations in a row without an improvement after which it ends',
  }),
  earlyStoppingMinDelta: numberKey({ from: 0 }, 0, {
    group: 'Evaluation and saving',
    about: 'An improvement has to be more than this',
  }),
  saveSteps: numberKey({ from: 0, whole: true }, 100, {
    group: 'Evaluation and saving',
    about: 'Steps between checkpoints; 0 = only at the end',
  }),
  saveTotalLimit: numberKey({ from: 1, whole: true }, 2, {
    group: 'Evaluation and saving',
    about: 'Checkpoints that are kept',
  }),
  saveDtype: choiceKey(['bf16', 'f32'], 'bf16', {
    group: 'Evaluation and saving',
    about: 'Type of the weights that full training writes',
  }),
  profile: booleanKey(false, {
    group: 'Evaluation and saving',
    about:
      'Time every op: the first calls go to profile.json for chrome://tracing, the costliest ops into a table',
  }),
  reportTo: choicesKey(['tensorboard', 'wandb'], {
    group: 'Evaluation and saving',
    about:
      'Other places for metrics: tensorboard writes output_dir/tensorboard; events.jsonl is always written',
  }),
} satisfies Record<string, Key>;

export type KeyName = keyof typeof KEYS;

/** Names of all keys, in the order in which they are shown. */
export const KEY_NAMES = Object.keys(KEYS) as KeyName[];
