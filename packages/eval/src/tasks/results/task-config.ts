import type { PythonDict, PythonValue } from '@qdylora/data';
import type { TaskRequests } from '../requests/build-requests.ts';

/**
 * The settings of a task as the harness writes them into its results (`configs`): those of the YAML and the
 * defaults. A Python function is written as `!function name`.
 */
export function taskConfig({ task, numFewshot }: TaskRequests): PythonDict {
  const { yaml, fewshot } = task;
  const given = (key: string): PythonValue => yaml.get(key) ?? null;
  const entries: readonly (readonly [string, PythonValue])[] = [
    ...['task', 'task_alias', 'dataset_path', 'dataset_name', 'dataset_kwargs'].map(own),
    ...['training_split', 'validation_split', 'test_split', 'fewshot_split', 'process_docs'].map(own),
    ...['doc_to_text', 'doc_to_target'].map(own),
    ['unsafe_code', yaml.get('unsafe_code') ?? false],
    ...['doc_to_choice', 'process_results'].map(own),
    ['description', task.description],
    ['target_delimiter', task.targetDelimiter],
    ['fewshot_delimiter', task.fewshotDelimiter],
    [
      'fewshot_config',
      new Map<string, PythonValue>([
        ['sampler', fewshot.sampler],
        ['split', fewshot.split],
        ['process_docs', given('process_docs')],
        ['fewshot_indices', null],
        ['samples', fewshot.samples],
        ['doc_to_text', fewshot.text],
        ['doc_to_choice', fewshot.choice ?? null],
        ['doc_to_target', fewshot.target],
        ['gen_prefix', fewshot.genPrefix],
        ['fewshot_delimiter', fewshot.fewshotDelimiter],
        ['target_delimiter', fewshot.targetDelimiter],
      ]),
    ],
    ['num_fewshot', numFewshot],
    own('metric_list'),
    ['output_type', task.outputType],
    ['generation_kwargs', task.generation],
    ['repeats', task.repeats],
    own('filter_list'),
    ['should_decontaminate', yaml.get('should_decontaminate') ?? false],
    ...['doc_to_decontamination_query', 'gen_prefix', 'metadata'].map(own),
  ];
  return new Map(entries.filter(([, value]) => value !== null));

  function own(key: string): readonly [string, PythonValue] {
    return [key, given(key)];
  }
}
