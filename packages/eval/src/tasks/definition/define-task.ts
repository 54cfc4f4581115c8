import { itemsOf, numberOf, PythonFloat, type PythonDict, type PythonValue } from '@qdylora/data';
import { DEFAULT_MAX_TOKENS, LENGTH_KEYS } from '../answering/generation-settings.ts';
import { readFilters } from '../filters/read-filters.ts';
import { readMetrics } from '../metrics/metric-definition.ts';
import { OUTPUT_TYPES, type OutputType } from './output-type.ts';
import type { FewshotDefinition, TaskDefinition, TaskFunctions } from './task-definition.ts';
import { functionName, pythonProblem, yamlEntries, type YamlEntries } from './yaml-entries.ts';

/** Keys of the harness that are refused, because a task with them would be another one without them. */
const REFUSED_KEYS = ['custom_dataset', 'doc_to_image', 'doc_to_audio', 'use_prompt'] as const;

/** Keys of a task that are read, those that change nothing here, and those that are refused by name. */
const KEYS: readonly string[] = [
  ...['task', 'task_alias', 'tag', 'dataset_path', 'dataset_name', 'dataset_kwargs', 'output_type'],
  ...['training_split', 'validation_split', 'test_split', 'fewshot_split', 'process_docs'],
  ...['doc_to_text', 'doc_to_target', 'doc_to_choice', 'description', 'target_delimiter'],
  ...['fewshot_delimiter', 'fewshot_config', 'num_fewshot', 'metric_list', 'generation_kwargs'],
  ...['repeats', 'filter_list', 'gen_prefix', 'metadata', 'should_decontaminate'],
  ...['doc_to_decontamination_query', 'process_results', 'unsafe_code'],
  ...REFUSED_KEYS,
];

const FEWSHOT_KEYS: readonly string[] = [
  ...['sampler', 'split', 'samples', 'doc_to_text', 'doc_to_target', 'doc_to_choice'],
  ...['gen_prefix', 'fewshot_delimiter', 'target_delimiter'],
];
const SAMPLERS = ['default', 'first_n'] as const;

/**
 * A task from the entries of its YAML, with the defaults of the harness.
 *
 * @param where the file, for errors
 * @param functions what stands for the Python functions that the YAML names
 * @throws QdyloraError BAD_CONFIG for unknown keys and wrong values; UNSUPPORTED for Python functions
 */
export function defineTask(yaml: PythonDict, where: string, functions: TaskFunctions = {}): TaskDefinition {
  const task = yamlEntries(yaml, where);
  task.assertOnly(KEYS);
  const refused = REFUSED_KEYS.find((key) => task.has(key));
  if (refused) throw task.error(`\`${refused}\` is not supported.`, 'Remove it.');
  assertNoPython(task, functions);
  const name = task.text('task');
  if (name === null) throw task.error('A task must have a name: `task`.');
  const outputType = outputTypeOf(task);
  const fewshotDelimiter = task.text('fewshot_delimiter') ?? '\n\n';
  const repeats = task.whole('repeats', 1) ?? 1;
  const fields = {
    text: fieldOf(task, 'doc_to_text'),
    target: fieldOf(task, 'doc_to_target'),
    choice: task.value('doc_to_choice') ?? undefined,
    targetDelimiter: task.text('target_delimiter') ?? ' ',
    fewshotDelimiter,
    genPrefix: task.text('gen_prefix'),
  };
  if (outputType === 'multiple_choice' && fields.choice === undefined)
    throw task.error('A task of multiple_choice must have `doc_to_choice`.');
  return {
    name,
    alias: task.text('task_alias') ?? name,
    datasetPath: task.text('dataset_path'),
    datasetName: task.text('dataset_name'),
    datasetKeys: datasetKeysOf(task),
    splits: splitsOf(task),
    outputType,
    ...fields,
    description: task.text('description') ?? '',
    fewshot: fewshotOf(task, fields),
    numFewshot: task.whole('num_fewshot', 0),
    generation: outputType === 'generate_until' ? generationOf(task, fewshotDelimiter) : null,
    repeats,
    filters: readFilters(task, repeats),
    metrics: functions.prediction ? [] : readMetrics(task, outputType),
    functions,
    version: task.mapping('metadata')?.value('version') ?? 'Yaml',
    yaml,
  };
}

/** Which part of `TaskFunctions` stands for the function of a key. */
const FUNCTION_KEYS: readonly (readonly [key: string, part: keyof TaskFunctions])[] = [
  ['process_docs', 'processRows'],
  ['doc_to_target', 'target'],
  ['process_results', 'lengths'],
];
/** Keys whose Python functions nothing replaces. */
const TEMPLATE_KEYS = ['doc_to_text', 'doc_to_choice'] as const;

function assertNoPython(task: YamlEntries, functions: TaskFunctions): void {
  for (const [key, part] of FUNCTION_KEYS) if (!functions[part]) refusePython(task, key);
  for (const key of TEMPLATE_KEYS) refusePython(task, key);
  const examples = task.mapping('fewshot_config');
  if (examples) for (const key of EXAMPLE_KEYS) refusePython(examples, key);
  if (functions.prediction) return;
  for (const list of task.mappings('filter_list') ?? [])
    for (const step of list.mappings('filter') ?? []) refusePython(step, 'filter_fn');
}

/** Keys of `fewshot_config`, which are templates. */
const EXAMPLE_KEYS = ['doc_to_text', 'doc_to_target', 'doc_to_choice'];

/** `trust_remote_code` changes nothing here: no code of a data set is run. */
const datasetKeysOf = (task: YamlEntries): string[] =>
  task.mapping('dataset_kwargs')
    ? [...(task.value('dataset_kwargs') as PythonDict).keys()]
        .map(String)
        .filter((name) => name !== 'trust_remote_code')
    : [];

function refusePython(entries: YamlEntries, key: string): void {
  const name = functionName(entries.value(key));
  if (name === null) return;
  throw entries.error(
    pythonProblem(key, name),
    'Write it as a template or a filter, or prepare the rows of the data set.',
  );
}

function outputTypeOf(task: YamlEntries): OutputType {
  const written = task.text('output_type') ?? 'generate_until';
  const outputType = OUTPUT_TYPES.find((known) => known === written);
  if (outputType) return outputType;
  throw task.error(`There is no output_type ${written}.`, `It may be ${OUTPUT_TYPES.join(', ')}.`);
}

function fieldOf(task: YamlEntries, key: string): PythonValue {
  if (task.value(key) === undefined) throw task.error(`A task must have \`${key}\`.`);
  return task.value(key);
}

function splitsOf(task: YamlEntries): TaskDefinition['splits'] {
  const splits = {
    training: task.text('training_split'),
    validation: task.text('validation_split'),
    test: task.text('test_split'),
  };
  if (splits.test ?? splits.validation) return splits;
  throw task.error('A task must have a `test_split` or a `validation_split`: the documents to judge.');
}

function fewshotOf(
  task: YamlEntries,
  fields: Omit<FewshotDefinition, 'sampler' | 'split' | 'samples'>,
): FewshotDefinition {
  const own = task.mapping('fewshot_config') ?? yamlEntries(new Map(), task.where);
  own.assertOnly(FEWSHOT_KEYS);
  const written = own.text('sampler') ?? 'default';
  const sampler = SAMPLERS.find((known) => known === written);
  if (!sampler) throw own.error(`There is no sampler ${written}.`, `It may be ${SAMPLERS.join(' or ')}.`);
  own.mappings('samples');
  return {
    sampler,
    split: own.text('split') ?? task.text('fewshot_split'),
    samples: (itemsOf(own.value('samples')) as PythonDict[] | null) ?? null,
    text: own.value('doc_to_text') ?? fields.text,
    target: own.value('doc_to_target') ?? fields.target,
    choice: own.value('doc_to_choice') ?? fields.choice,
    genPrefix: own.text('gen_prefix') ?? fields.genPrefix,
    targetDelimiter: own.text('target_delimiter') ?? fields.targetDelimiter,
    fewshotDelimiter: own.text('fewshot_delimiter') ?? fields.fewshotDelimiter,
  };
}

/** `generation_kwargs` as the harness completes them: greedy decoding up to the delimiter of examples. */
function generationOf(task: YamlEntries, fewshotDelimiter: string): PythonDict {
  const entries = task.mapping('generation_kwargs');
  if (!entries)
    return new Map<string, PythonValue>([
      ['temperature', new PythonFloat(0)],
      ['do_sample', false],
      ['max_gen_toks', DEFAULT_MAX_TOKENS],
      ['until', [fewshotDelimiter]],
    ]);
  entries.texts('until');
  for (const key of LENGTH_KEYS) entries.whole(key, 1);
  const settings = new Map(task.value('generation_kwargs') as PythonDict);
  const temperature = numberOf(settings.get('temperature'));
  if (temperature === null && entries.has('temperature'))
    throw entries.error('`temperature` must be a number.');
  if (temperature !== null) settings.set('temperature', new PythonFloat(temperature));
  if (!settings.has('until')) settings.set('until', [fewshotDelimiter]);
  return settings;
}
