import * as z from 'zod';
import { SCALE_ROUNDINGS } from '@qdylora/quant';
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
import { KEYS, QUANTIZATIONS } from './keys.ts';
import { MERGE_DTYPES, MERGE_FORMATS } from './merge-formats.ts';

/**
 * Key sets of the verbs that do not train. What they share with a run has the run's own key, so that a word
 * means one thing everywhere.
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
  completionOnlyLoss,
  maxSeqLength,
  outputDir,
} = KEYS;

const adapter = textKey({ group: 'Adapter', about: 'Folder of the adapter to use' });
const quantization = optionalChoiceKey(QUANTIZATIONS, {
  group: 'Method',
  about: 'How matrices are stored; by default as the adapter was trained, else nf4',
});
/** Exact by default: what is measured shall not depend on the processor. */
const computeDtype = choiceKey(['auto', 'f32', 'bf16'], 'f32', {
  group: 'Model',
  about: KEYS.computeDtype.about,
});
const rank = optionalNumberKey(
  { from: 0, whole: true },
  { group: 'Adapter', about: 'Rank to use; the largest by default' },
);

/** A model, with or without an adapter, ready to compute. */
const BASE_KEYS = {
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

const rankList = z
  .array(z.number().int().gte(0))
  .min(1)
  .transform((list) => [...new Set(list)].sort((a, b) => a - b));

export const EVALUATE_KEYS = {
  ...BASE_KEYS,
  dataset,
  datasetFormat,
  applyChatTemplate,
  completionOnlyLoss,
  maxSeqLength,
  ranks: {
    group: 'Adapter',
    about: 'all, or a list',
    flag: 'word-or-numbers',
    expected: 'all or a list of whole numbers',
    schema: z.union([z.literal('all'), rankList]).default('all'),
  },
  limitTokens: optionalNumberKey(
    { from: 1, whole: true },
    { group: 'Data', about: 'Keep only so many tokens, from the beginning' },
  ),
  compareWithBase: booleanKey(false, {
    group: 'Evaluation and saving',
    about: 'Also judge the model without its adapter, and compare example by example',
  }),
} satisfies Record<string, Key>;

export const EXPORT_KEYS = {
  adapter,
  rank,
  outputDir,
  model: textKey({
    group: 'Model',
    about: 'Base model, for format gguf: its heads decide the order of rows. No weight is read',
  }),
  format: choiceKey(['peft', 'gguf'], 'peft', {
    group: 'Adapter',
    about:
      'peft = adapter_config.json and adapter_model.safetensors, for PEFT and vLLM; gguf = adapter.gguf, ' +
      'for llama.cpp',
  }),
  svd: booleanKey(false, {
    group: 'Adapter',
    about: 'Sort the full adapter anew by singular values, and keep the largest ones',
  }),
} satisfies Record<string, Key>;

export const MERGE_KEYS = {
  ...BASE_KEYS,
  rank,
  outputDir,
  format: choiceKey(MERGE_FORMATS, 'safetensors', {
    group: 'Evaluation and saving',
    about: 'safetensors = a Hugging Face folder; gguf = model.gguf, for llama.cpp',
  }),
  dtype: optionalChoiceKey(MERGE_DTYPES, {
    group: 'Evaluation and saving',
    about:
      'Type of the merged weights; bf16 by default, f16 for gguf. q8_0 is for gguf; nf4 and fp4 pack anew, ' +
      'for safetensors',
  }),
  check: booleanKey(true, {
    group: 'Evaluation and saving',
    about: 'Open the result and say how far its logits are from those of the base with its adapter',
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
      'How double quantization rounds: nearest, as when a model is quantized as it is loaded, or to the ' +
      "very bytes of bitsandbytes' CPU library",
  }),
} satisfies Record<string, Key>;

/** What `plan` takes beside the keys of a run. */
export const PLAN_KEYS = {
  memory: bytesKey({
    group: 'Training',
    about: 'Memory that there is (32GiB): says whether the run fits, and what to change where it does not',
  }),
} satisfies Record<string, Key>;

export const GENERATE_KEYS = {
  ...BASE_KEYS,
  rank,
  seed,
  prompt: textKey({
    group: 'Text',
    placeholder: 'text',
    about: 'What to answer; without it, a conversation on the terminal',
  }),
  promptIds: {
    group: 'Text',
    about: 'The same as token ids, for a model without a tokenizer',
    flag: 'numbers',
    expected: 'a list of token ids',
    schema: z.array(z.number().int().gte(0)).min(1).nullable().default(null),
  },
  system: textKey({ group: 'Text', placeholder: 'text', about: 'A system message that comes first' }),
  raw: booleanKey(false, { group: 'Text', about: 'The prompt as it is, without the chat template' }),
  maxNewTokens: numberKey({ from: 1, whole: true }, 256, {
    group: 'Text',
    about: 'Longest answer, in tokens',
  }),
  temperature: numberKey({ from: 0 }, 0, { group: 'Text', about: '0 = always the likeliest token' }),
  topK: numberKey({ from: 0, whole: true }, 0, {
    group: 'Text',
    about: 'Only the k likeliest tokens; 0 = all',
  }),
  topP: numberKey({ from: 0, to: 1, above: true }, 1, {
    group: 'Text',
    about: 'Only the likeliest tokens that make up this share',
  }),
} satisfies Record<string, Key>;

export const INSPECT_KEYS = {
  model,
  dataset,
  datasetFormat,
  applyChatTemplate,
  completionOnlyLoss,
  maxSeqLength,
  row: numberKey({ from: 1, whole: true }, 1, { group: 'Data', about: 'The first row to show' }),
  rows: numberKey({ from: 1, to: 10_000, whole: true }, 1, { group: 'Data', about: 'How many rows to show' }),
  html: textKey({
    group: 'Data',
    placeholder: 'file',
    about: 'Writes the rows as a page, every token with its weight',
  }),
} satisfies Record<string, Key>;
