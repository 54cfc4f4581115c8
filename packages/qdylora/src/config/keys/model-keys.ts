import { FLOAT_DTYPES } from '@qdylora/contract';
import { LEVEL_SCHEDULES, type LevelSchedule } from '@qdylora/lora-dynamic';
import { BLOCK_SIZES, QUANTIZATION_LEVELS } from '@qdylora/quant';
import * as z from 'zod';
import {
  booleanKey,
  choiceKey,
  numberKey,
  optionalChoiceKey,
  optionalNumberKey,
  textKey,
  type Key,
} from '../key.ts';

export const METHODS = ['qdylora', 'dylora', 'qlora', 'lora', 'none'] as const;
export type Method = (typeof METHODS)[number];
export const QUANTIZATIONS = ['nf4', 'fp4', 'none'] as const;
export const BACKENDS = ['auto', 'cpu', 'cuda', 'host'] as const;

/** The base model, and how the machine computes with it. */
export const MODEL_KEYS = {
  model: textKey({
    group: 'Model',
    about:
      'Base model: a folder, a .safetensors or .gguf file, or a name on the hub (org/name[@revision]), ' +
      'which is downloaded',
  }),
  init: textKey({
    group: 'Model',
    about:
      'config.json of a model that starts from random weights (method none); its tokenizer.json is in the ' +
      'same folder',
  }),
  backend: choiceKey(BACKENDS, 'auto', {
    group: 'Model',
    about:
      'cpu: C++ kernels; cuda: an NVIDIA GPU; host: TypeScript only; auto: the fastest that works on this ' +
      'machine',
  }),
  computeDtype: choiceKey(['auto', ...FLOAT_DTYPES], 'auto', {
    group: 'Model',
    about:
      'Data type of the operands of matrix multiplications; f16 trains with dynamic loss scaling; auto: ' +
      'bf16 if the processor or GPU has instructions for it, f16 on older GPUs, else f32',
  }),
  numThreads: optionalNumberKey(
    { from: 1, to: 1024, whole: true },
    {
      group: 'Model',
      about: 'Number of kernel threads; all processors by default. The results do not depend on it',
    },
  ),
  batchInvariant: booleanKey(false, {
    group: 'Model',
    about:
      'Use one kernel per op for any number of rows, so that a result has the same bits alone and in a ' +
      'batch; generation is slower',
  }),
  seed: numberKey({ from: 0, to: Number.MAX_SAFE_INTEGER, whole: true }, 0, {
    group: 'Model',
    about: 'Seed of all random numbers',
  }),
  dataSeed: optionalNumberKey(
    { from: 0, to: Number.MAX_SAFE_INTEGER, whole: true },
    {
      group: 'Model',
      about: 'Seed of the order of the rows; seed by default. The held-out rows depend on seed alone',
    },
  ),
} satisfies Record<string, Key>;

/** Which weights train, and how the others are stored. */
export const METHOD_KEYS = {
  method: choiceKey(METHODS, 'qdylora', {
    group: 'Method',
    about: 'Preset for quantization and ranks; none: full training',
  }),
  preset: optionalChoiceKey(['paper'], {
    group: 'Method',
    about: 'paper: one rank per step, scale alpha/b, alpha 16 (QDyLoRA as published)',
  }),
  quantization: choiceKey(QUANTIZATIONS, 'nf4', {
    group: 'Method',
    about: 'Storage of the frozen matrices',
  }),
  doubleQuantization: booleanKey(true, { group: 'Method', about: 'Quantize the block scales to 8 bits too' }),
  quantizationBlockSize: {
    group: 'Method',
    about: 'Number of weights that share one scale',
    flag: 'number',
    expected: `one of ${BLOCK_SIZES.join(', ')}`,
    schema: z
      .number()
      .refine((size) => BLOCK_SIZES.includes(size as never))
      .default(64),
  },
  quantizationLevels: {
    group: 'Method',
    about:
      'Numbers of bits per weight at which the base is used: 4 (nf4), 3 (the same codes, fewer values), 8 ' +
      '(a second nf4 matrix stores the error of the first). With several, see level_schedule',
    flag: 'numbers',
    expected: `a list of different ones of ${QUANTIZATION_LEVELS.join(', ')}`,
    schema: z
      .array(z.number().refine((level) => QUANTIZATION_LEVELS.includes(level as never)))
      .min(1)
      .refine((list) => new Set(list).size === list.length)
      .transform((list) => [...list].sort((a, b) => a - b))
      .default([4]),
  },
  levelSchedule: {
    group: 'Method',
    about:
      'Which of several quantization_levels each step uses. distilled: 4 bits (or the most bits, if 4 is ' +
      'not listed), and in every second step a further pass at another level learns from the largest rank; ' +
      'sampled: every second step 4 bits, the others another level; descending: from most bits to fewest; ' +
      'feedback: fewer bits after each evaluation that does not improve. By default distilled if ' +
      'distillation is on, else sampled',
    flag: 'text',
    expected: `one of ${LEVEL_SCHEDULES.join(', ')}`,
    schema: z
      .enum(LEVEL_SCHEDULES as unknown as readonly [LevelSchedule, ...LevelSchedule[]])
      .nullable()
      .default(null),
  },
} satisfies Record<string, Key>;
