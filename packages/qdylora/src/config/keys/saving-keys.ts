import { DEFAULT_PATIENCE } from '@qdylora/trainer';
import * as z from 'zod';
import { booleanKey, choiceKey, choicesKey, numberKey, sizesKey, textKey, type Key } from '../key.ts';

const group = 'Evaluation and saving';

/** What a run writes, when it evaluates, and when it ends. */
export const SAVING_KEYS = {
  outputDir: textKey({ group, about: 'Folder for everything that the run writes' }),
  resumeFromCheckpoint: {
    ...textKey({
      placeholder: 'auto|path',
      group,
      about:
        'Resume from an earlier checkpoint: auto (the newest in output_dir; a new run if there is none), ' +
        'or a folder of checkpoints/',
    }),
    expected: 'auto or the folder of a checkpoint',
  },
  evalSteps: numberKey({ from: 0, whole: true }, 0, {
    group,
    about: 'Steps between evaluations; 0: only at the end',
  }),
  evalRanks: {
    group,
    about: 'Ranks of the evaluations between steps; all by default. The final report covers all ranks',
    flag: 'numbers',
    expected: 'a list of whole numbers ≥ 1',
    schema: z
      .array(z.number().int().gte(1).lte(4096))
      .min(1)
      .transform((list) => [...new Set(list)].sort((a, b) => a - b))
      .nullable()
      .default(null),
  },
  evalBudgets: sizesKey('ranks', {
    group,
    about:
      'Sizes (1MB,4MB) to which the adapter is cut at the end, with a rank for each layer, and evaluated, ' +
      'for the curve of loss over bytes in the report; ranks: the sizes of all ranks below the largest',
  }),
  earlyStopping: {
    group,
    about:
      'End the run when evaluations stop improving: the held-out loss of one rank, or aurac (the gain over ' +
      'the base across all evaluated ranks). Evaluations during the steps of wide_ratio do not count',
    flag: 'number',
    placeholder: 'rank|aurac',
    expected: 'a rank or aurac',
    schema: z
      .union([z.literal('aurac'), z.number().int().gte(1)])
      .nullable()
      .default(null),
  },
  earlyStoppingPatience: numberKey({ from: 1, whole: true }, DEFAULT_PATIENCE, {
    group,
    about: 'Evaluations without an improvement before the run ends',
  }),
  earlyStoppingMinDelta: numberKey({ from: 0 }, 0, {
    group,
    about: 'A change is an improvement only if it is greater than this',
  }),
  saveSteps: numberKey({ from: 0, whole: true }, 100, {
    group,
    about: 'Steps between checkpoints; 0: only at the end',
  }),
  saveTotalLimit: numberKey({ from: 1, whole: true }, 2, { group, about: 'Checkpoints to keep' }),
  saveDtype: choiceKey(['bf16', 'f32'], 'bf16', {
    group,
    about: 'Data type of the weights that full training saves',
  }),
  loggingSteps: numberKey({ from: 1, whole: true }, 10, {
    group,
    about: 'Steps between lines of progress if output is not a terminal; events.jsonl has every step',
  }),
  profile: booleanKey(false, {
    group,
    about: 'Time every op: profile.json for chrome://tracing, and a table of the costliest ops',
  }),
  reportTo: choicesKey(['tensorboard'], {
    group,
    about: 'Also write metrics for: tensorboard (in output_dir/tensorboard). events.jsonl is always written',
  }),
} satisfies Record<string, Key>;
