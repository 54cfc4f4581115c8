import { capitalized, stripped, type PythonDict, type PythonValue, type RowValues } from '@qdylora/data';
import type { BuiltInTask } from './built-in-task.ts';

/** lm_eval/tasks/hellaswag/hellaswag.yaml of lm-evaluation-harness 0.4.13 (MIT). */
const YAML = String.raw`tag:
  - multiple_choice
task: hellaswag
dataset_path: Rowan/hellaswag
dataset_name: null
output_type: multiple_choice
training_split: train
validation_split: validation
test_split: null
process_docs: !function utils.process_docs
doc_to_text: "{{query}}"
doc_to_target: "{{label}}"
doc_to_choice: "choices"
metric_list:
  - metric: acc
    aggregation: mean
    higher_is_better: true
  - metric: acc_norm
    aggregation: mean
    higher_is_better: true
metadata:
  version: 1.0
`;

export const HELLASWAG: BuiltInTask = {
  yaml: YAML,
  functions: { processRows: (rows) => rows.map(processed) },
};

/** `process_docs`: the query, the choices and the number of the right one. */
function processed({ value, where }: RowValues): RowValues {
  const text = (key: string): string => (value.get(key) as string | undefined) ?? '';
  const context = `${text('ctx_a')} ${capitalized(text('ctx_b'))}`;
  const endings = (value.get('endings') ?? []) as readonly string[];
  const added: [string, PythonValue][] = [
    ['query', cleaned(`${text('activity_label')}: ${context}`)],
    ['choices', endings.map(cleaned)],
    ['gold', Number(text('label'))],
  ];
  const processedValue: PythonDict = new Map([...value, ...added]);
  return { value: processedValue, where };
}

/** Removes what is left of WikiHow's headings. */
const cleaned = (text: string): string =>
  stripped(text, 'strip')
    .replaceAll(' [title]', '. ')
    .replace(/\[[^\n]*?\]/g, '')
    .replaceAll('  ', ' ');
