import { booleanKey, filesKey, optionalNumberKey, textKey, type Key } from './key.ts';
import { KEYS } from './keys.ts';
import { BASE_KEYS, EVALUATE_KEYS, level } from './verb-keys.ts';

/** What `eval` takes for benchmark tasks only. */
export const TASK_ONLY_KEYS = {
  tasks: {
    ...filesKey({
      group: 'Benchmarks',
      placeholder: 'name,…',
      about:
        'Benchmark tasks on which every rank and the base are scored: gsm8k, mmlu, …, or a YAML file of ' +
        'lm-evaluation-harness',
    }),
    expected: 'a task or a list of tasks',
  },
  taskData: textKey({
    group: 'Benchmarks',
    placeholder: 'folder',
    about:
      'Folder with the rows of the tasks: gsm8k/test.jsonl, gsm8k/train.jsonl, … (also Parquet); by ' +
      'default they are downloaded from the hub',
  }),
  numFewshot: optionalNumberKey(
    { from: 0, whole: true },
    { group: 'Benchmarks', about: 'Examples in each prompt; those of the task by default' },
  ),
  limit: optionalNumberKey(
    { from: 0, above: true },
    { group: 'Benchmarks', about: 'Score only the first n rows of each task; below 1: that share of them' },
  ),
  allowCodeExecution: booleanKey(false, {
    group: 'Benchmarks',
    about:
      'Run the programs that the model writes for humaneval, and score them (pass@1). They have limits ' +
      'and, on Linux, no network, but they can read your files: use a container if that matters',
  }),
  racing: booleanKey(false, {
    group: 'Benchmarks',
    about: 'Drop ranks as soon as they can no longer be the best; says what that saved',
  }),
  cacheRequests: textKey({
    group: 'Benchmarks',
    placeholder: 'folder',
    about:
      'Folder that keeps every answer, so that an interrupted evaluation continues where it stopped; by ' +
      'default answers/ in output_dir',
  }),
  outputDir: {
    ...KEYS.outputDir,
    group: 'Benchmarks',
    about: 'Folder for results_*.json and samples_*.jsonl of lm-evaluation-harness, for each rank',
  },
} satisfies Record<string, Key>;

export const EVALUATE_TASKS_KEYS = {
  ...BASE_KEYS,
  batchInvariant: booleanKey(true, {
    group: 'Model',
    about:
      'A score does not depend on the requests and ranks that are computed with it; false is faster, and ' +
      'close choices may differ',
  }),
  ...TASK_ONLY_KEYS,
  level,
  applyChatTemplate: KEYS.applyChatTemplate,
  chatTemplate: KEYS.chatTemplate,
  ranks: EVALUATE_KEYS.ranks,
  compareWithBase: booleanKey(true, {
    group: 'Evaluation and saving',
    about: 'Also score the base without its adapter',
  }),
} satisfies Record<string, Key>;
