import {
  capitalized,
  itemsOf,
  stripped,
  type PythonDict,
  type PythonValue,
  type RowValues,
} from '@qdylora/data';
import { badField, column, textColumn } from '../prompts/document-fields.ts';
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

const TASK = { name: 'hellaswag' };

/**
 * `process_docs`: the query, the choices and the number of the right one.
 *
 * @throws QdyloraError BAD_DATA for a row without these texts
 */
function processed(row: RowValues): RowValues {
  const context = `${textOf(row, 'ctx_a')} ${capitalized(textOf(row, 'ctx_b'))}`;
  const added: [string, PythonValue][] = [
    ['query', cleaned(`${textOf(row, 'activity_label')}: ${context}`)],
    ['choices', textsOf(row, 'endings').map(cleaned)],
    ['gold', Number(row.value.get('label') ?? '')],
  ];
  const value: PythonDict = new Map([...row.value, ...added]);
  return { value, where: row.where };
}

const textOf = (row: RowValues, key: string): string => textColumn({ task: TASK, row }, key);

function textsOf(row: RowValues, key: string): readonly string[] {
  const list = itemsOf(column(TASK, row, key));
  if (list?.every((item) => typeof item === 'string')) return list;
  throw badField({ task: TASK, row }, key, 'must be a list of texts');
}

/** Removes what is left of WikiHow's headings. */
const cleaned = (text: string): string =>
  stripped(text, 'strip')
    .replaceAll(' [title]', '. ')
    .replace(/\[[^\n]*?\]/g, '')
    .replaceAll('  ', ' ');
