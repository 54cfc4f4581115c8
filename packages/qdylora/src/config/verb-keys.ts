import * as z from 'zod';
import { FLOAT_DTYPES } from '@qdylora/contract';
import { QUANTIZATION_LEVELS, SCALE_ROUNDINGS } from '@qdylora/quant';
import {
  booleanKey,
  bytesKey,
  choiceKey,
  numberKey,
  optionalChoiceKey,
  optionalNumberKey,
  textKey,
  type Key,
} from './key.ts';
import { KEYS } from './keys.ts';
import { QUANTIZATIONS } from './keys/model-keys.ts';
import { MERGE_DTYPES, MERGE_FORMATS } from './merge-formats.ts';

/**
 * Keys of the commands that do not train. A key that a run has too is the same object, so that a word means
 * the same everywhere; `output_dir` and `compute_dtype` alone have a text of their own.
 */

const {
  model,
  backend,
  numThreads,
  batchInvariant,
  seed,
  doubleQuantization,
  quantizationBlockSize,
  dataset,
  datasetFormat,
  applyChatTemplate,
  chatTemplate,
  completionOnlyLoss,
  maxSeqLength,
  outputDir: runFolder,
} = KEYS;

/** The folder of a result that is not a run. */
const outputDir = { ...runFolder, about: 'Folder to write to; it must not exist, or be empty' };

const adapter = textKey({ group: 'Adapter', about: 'Folder of the adapter to use' });
const quantization = optionalChoiceKey(QUANTIZATIONS, {
  group: 'Method',
  about: 'Storage of the frozen matrices; by default that of the training run, else that of the files',
});
/** Exact by default: measurements must not depend on the processor. */
const computeDtype = choiceKey(['auto', ...FLOAT_DTYPES], 'f32', {
  group: 'Model',
  about:
    'Data type of the operands of matrix multiplications; auto: bf16 if the processor or GPU has ' +
    'instructions for it, f16 on older GPUs, else f32',
});
const rank = optionalNumberKey(
  { from: 1, whole: true },
  { group: 'Adapter', about: 'Rank of the adapter; the largest by default' },
);

export const level = {
  group: 'Method',
  about:
    'Bits per weight at which an nf4 base is used; by default 4, or the level at which the adapter was ' +
    'trained',
  flag: 'number',
  expected: `one of ${QUANTIZATION_LEVELS.join(', ')}`,
  schema: z
    .number()
    .refine((bits) => QUANTIZATION_LEVELS.includes(bits as never))
    .nullable()
    .default(null),
} satisfies Key;

/** A model with or without an adapter. */
export const BASE_KEYS = {
  model,
  backend,
  computeDtype,
  numThreads,
  batchInvariant,
  quantization,
  doubleQuantization,
  quantizationBlockSize,
  adapter,
};

/** Shared by `generate` and `serve`. */
export const draftTokens = numberKey({ from: 0, to: 3, whole: true }, 3, {
  group: 'Text',
  about:
    'Number of tokens that are drafted from the text so far and verified together with the next one ' +
    '(prompt lookup decoding); 0: none. With batch_invariant the answers stay the same; without it, close ' +
    'choices may differ',
});

const rankList = z
  .array(z.number().int().gte(1))
  .min(1)
  .transform((list) => [...new Set(list)].sort((a, b) => a - b));

/** The files that `dataset` takes. */
const ROW_FILES = '.jsonl, .json and .parquet files, .txt as plain text; patterns such as data/*.jsonl';

export const EVALUATE_KEYS = {
  ...BASE_KEYS,
  level,
  dataset: { ...dataset, about: `Rows to evaluate: ${ROW_FILES}` },
  datasetFormat,
  applyChatTemplate: {
    ...applyChatTemplate,
    about: `${applyChatTemplate.about}. Default with an adapter: as in its training`,
  },
  chatTemplate,
  completionOnlyLoss,
  maxSeqLength,
  ranks: {
    group: 'Adapter',
    about: 'Ranks to evaluate: all, or a list',
    flag: 'word-or-numbers',
    expected: 'all or a list of whole numbers ≥ 1',
    schema: z.union([z.literal('all'), rankList]).default('all'),
  },
  limitTokens: optionalNumberKey(
    { from: 1, whole: true },
    { group: 'Data', about: 'Evaluate only the first n tokens' },
  ),
  compareWithBase: booleanKey(false, {
    group: 'Evaluation and saving',
    about: 'Also evaluate the base without its adapter, and compare row by row',
  }),
} satisfies Record<string, Key>;

export const EXPORT_KEYS = {
  adapter,
  rank,
  outputDir,
  model: textKey({
    group: 'Model',
    about:
      'Base model. For format gguf its config determines the order of rows, and no weights are read; for ' +
      'budget, the model runs over the rows of dataset',
  }),
  format: choiceKey(['peft', 'gguf'], 'peft', {
    group: 'Adapter',
    about:
      'peft: adapter_config.json and adapter_model.safetensors, for PEFT and vLLM; gguf: adapter.gguf, for ' +
      'llama.cpp',
  }),
  budget: bytesKey({
    group: 'Adapter',
    about:
      'Size of the adapter (5MB), instead of a rank: each layer gets the rank that lowers the loss ' +
      'most for its bytes. Needs model and dataset',
  }),
  dataset: {
    ...dataset,
    about: 'Rows of the task, for budget: the first 128 decide how much each layer needs',
  },
  svd: booleanKey(false, {
    group: 'Adapter',
    about: 'Approximate the full adapter by its largest singular values, instead of cutting its rows',
  }),
  force: booleanKey(false, {
    group: 'Adapter',
    about: 'Do not warn if the rank was never trained by itself',
  }),
  baseModelName: textKey({
    group: 'Model',
    about: 'base_model_name_or_path of the written config: the name of the base on the Hugging Face hub',
  }),
} satisfies Record<string, Key>;

export const MERGE_KEYS = {
  ...BASE_KEYS,
  rank,
  outputDir,
  format: choiceKey(MERGE_FORMATS, 'safetensors', {
    group: 'Evaluation and saving',
    about: 'safetensors: a Hugging Face folder; gguf: model.gguf, for llama.cpp',
  }),
  dtype: optionalChoiceKey(MERGE_DTYPES, {
    group: 'Evaluation and saving',
    about:
      'Type of the merged weights; bf16 by default, f16 for gguf. q8_0 only for gguf; nf4 and fp4, which ' +
      'quantize again, only for safetensors',
  }),
  check: booleanKey(true, {
    group: 'Evaluation and saving',
    about: 'Open the result and compare its logits with those of the base with its adapter',
  }),
} satisfies Record<string, Key>;

export const QUANTIZE_KEYS = {
  model,
  backend,
  numThreads,
  doubleQuantization,
  quantizationBlockSize,
  outputDir,
  quantization: choiceKey(['nf4', 'fp4'], 'nf4', { group: 'Method', about: KEYS.quantization.about }),
  scaleRounding: choiceKey(SCALE_ROUNDINGS, 'nearest', {
    group: 'Method',
    about:
      'Rounding of double quantization. nearest: as when a run loads a model; bitsandbytes: the same bytes ' +
      'as the CPU library of bitsandbytes',
  }),
} satisfies Record<string, Key>;

/** What `tune` takes besides the keys of a run. */
export const TUNE_ONLY_KEYS = {
  rates: numberKey({ from: 2, to: 32, whole: true }, 6, {
    group: 'Training',
    about: 'Number of learning rates to try, in a grid around learning_rate',
  }),
  ratio: numberKey({ from: 1, above: true, to: 100 }, 2, {
    group: 'Training',
    about: 'Factor between one rate of the grid and the next',
  }),
  budget: numberKey({ from: 0, above: true, to: 100 }, 1, {
    group: 'Training',
    about: 'Limit on the optimizer steps of all candidates together, as a multiple of the steps of the run',
  }),
  alpha: booleanKey(false, {
    group: 'Training',
    about: 'Also try half and twice lora_alpha with every rate',
  }),
  rangeTest: booleanKey(false, {
    group: 'Training',
    about: 'Instead of a grid: 40 steps with an exponentially rising rate (the range test of Smith, 2017)',
  }),
} satisfies Record<string, Key>;

/** What `plan` takes besides the keys of a run. */
export const PLAN_KEYS = {
  memory: bytesKey({
    group: 'Training',
    about:
      'Memory of the machine that will train, or of each worker of max_rank_by_worker (32GB); default: ' +
      'that of this machine',
  }),
} satisfies Record<string, Key>;

export const GENERATE_KEYS = {
  ...BASE_KEYS,
  rank,
  level,
  seed,
  chatTemplate,
  prompt: textKey({
    group: 'Text',
    placeholder: 'text',
    about: 'The prompt; without it, a conversation in the terminal',
  }),
  promptIds: {
    group: 'Text',
    about: 'The prompt as token ids, for a model without a tokenizer',
    flag: 'numbers',
    expected: 'a list of token ids',
    schema: z.array(z.number().int().gte(0)).min(1).nullable().default(null),
  },
  system: textKey({ group: 'Text', placeholder: 'text', about: 'System message' }),
  raw: booleanKey(false, { group: 'Text', about: 'Do not apply the chat template' }),
  maxNewTokens: numberKey({ from: 1, whole: true }, 256, {
    group: 'Text',
    about: 'Maximum length of the answer, in tokens',
  }),
  temperature: numberKey({ from: 0 }, 0, {
    group: 'Text',
    about: 'Sampling temperature; 0: always the likeliest token',
  }),
  topK: numberKey({ from: 0, whole: true }, 0, {
    group: 'Text',
    about: 'Sample from the k likeliest tokens; 0: from all',
  }),
  topP: numberKey({ from: 0, to: 1, above: true }, 1, {
    group: 'Text',
    about: 'Sample from the likeliest tokens with this total probability',
  }),
  draftTokens,
  repetitionPenalty: numberKey({ from: 0.01, to: 10 }, 1, {
    group: 'Text',
    about: 'Above 1: tokens of the prompt and the answer so far are less likely',
  }),
  stop: {
    group: 'Text',
    placeholder: 'text',
    about: 'Text at which the answer ends, and which is not part of it; may be repeated',
    flag: 'texts',
    expected: 'a text or a list of texts',
    schema: z
      .union([
        z
          .string()
          .min(1)
          .transform((one) => [one]),
        z.array(z.string().min(1)).min(1),
      ])
      .nullable()
      .default(null),
  },
} satisfies Record<string, Key>;

export const INSPECT_KEYS = {
  model,
  dataset: { ...dataset, about: `Rows to show: ${ROW_FILES}` },
  datasetFormat,
  applyChatTemplate,
  chatTemplate,
  completionOnlyLoss,
  maxSeqLength,
  row: numberKey({ from: 1, whole: true }, 1, { group: 'Data', about: 'First row to show' }),
  rows: numberKey({ from: 1, to: 10_000, whole: true }, 1, {
    group: 'Data',
    about: 'Number of rows to show',
  }),
  html: textKey({
    group: 'Data',
    placeholder: 'file',
    about: 'Write an HTML page with the rows and the loss weight of every token',
  }),
} satisfies Record<string, Key>;
