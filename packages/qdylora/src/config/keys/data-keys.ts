import { statSync } from 'node:fs';
import {
  BAD_ROW_POLICIES,
  BUILT_IN_TEMPLATE_NAMES,
  BUILT_IN_TEMPLATES,
  DATASET_FORMATS,
  type BuiltInTemplate,
} from '@qdylora/data';
import * as z from 'zod';
import {
  booleanKey,
  choiceKey,
  filesKey,
  numberKey,
  optionalBooleanKey,
  optionalChoiceKey,
  type Key,
} from '../key.ts';

/** Whether a value of `chat_template` is a name; else it is a path. */
export const isBuiltInTemplate = (chatTemplate: string): chatTemplate is BuiltInTemplate =>
  Object.hasOwn(BUILT_IN_TEMPLATES, chatTemplate);

const isFile = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;

/** The rows: where they are, and how they become tokens. */
export const DATA_KEYS = {
  dataset: filesKey({
    group: 'Data',
    about:
      'Training rows: .jsonl, .json and .parquet files, .txt as plain text; patterns such as data/*.jsonl',
  }),
  datasetWeights: {
    group: 'Data',
    about: 'Repeats of each dataset in an epoch: 2: every row twice; 0.5: half of the rows',
    flag: 'numbers',
    expected: 'a list with one number ≥ 0 for each dataset',
    schema: z.array(z.number().gte(0)).min(1).nullable().default(null),
  },
  evalDataset: filesKey({ group: 'Data', about: 'Held-out rows' }),
  valSetSize: numberKey({ from: 0 }, 0, {
    group: 'Data',
    about:
      'Rows of dataset to hold out: a count, or a fraction below 1. A hash of the row decides, so ' +
      'identical rows are never split between training and evaluation',
  }),
  streaming: optionalBooleanKey({
    group: 'Data',
    about: 'Read rows from their files when they are needed; by default only if the files exceed 64 MiB',
  }),
  onBadRow: choiceKey(BAD_ROW_POLICIES, 'error', {
    group: 'Data',
    about: 'What to do with a row that cannot be used: end the run, or skip and count it',
  }),
  datasetFormat: optionalChoiceKey(DATASET_FORMATS, {
    group: 'Data',
    about: 'Format of the rows; default: that of the first row',
  }),
  applyChatTemplate: booleanKey(false, {
    group: 'Data',
    about: 'Apply the chat template to prompts and answers; rows of messages always use it',
  }),
  chatTemplate: {
    group: 'Data',
    about:
      'Chat template to use instead of that of the model: a name, or the path of a Jinja file. It is ' +
      'stored with the adapter, and generate and eval use it',
    flag: 'text',
    placeholder: 'name|path',
    expected: `one of ${BUILT_IN_TEMPLATE_NAMES.join(', ')}, or the path of a Jinja file`,
    schema: z
      .string()
      .refine((chatTemplate) => isBuiltInTemplate(chatTemplate) || isFile(chatTemplate))
      .nullable()
      .default(null),
  },
  completionOnlyLoss: optionalBooleanKey({
    group: 'Data',
    about: 'Compute the loss on answers only, if the row format separates them from prompts; true by default',
  }),
  maxSeqLength: numberKey({ from: 2, to: 2 ** 20, whole: true }, 1024, {
    group: 'Data',
    about: 'Maximum number of tokens in a row; longer rows are truncated',
  }),
  packing: booleanKey(false, {
    group: 'Data',
    about: 'Pack several rows into one sequence; attention does not cross rows',
  }),
  groupByLength: booleanKey(false, {
    group: 'Data',
    about: 'Group rows of similar length into steps, for even step times and memory',
  }),
} satisfies Record<string, Key>;
