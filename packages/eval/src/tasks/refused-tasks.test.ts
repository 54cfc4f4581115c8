import { templateValue, type PythonDict, type RowValues } from '@qdylora/data';
import { describe, expect, it } from 'vitest';
import { findTasks, TASK_NAMES } from './built-in/find-tasks.ts';
import { defineTask } from './definition/define-task.ts';
import { readTaskYaml } from './definition/read-task-yaml.ts';
import { readDocuments } from './documents/task-documents.ts';
import { buildRequests, type TaskRequests } from './requests/build-requests.ts';

const QUIZ = `task: quiz
test_split: test
output_type: multiple_choice
doc_to_text: "{{question}}"
doc_to_target: gold
doc_to_choice: choices
`;

const defined = (yaml: string) => defineTask(readTaskYaml(yaml, 'quiz.yaml'), 'quiz.yaml');

const rowsOf = (...values: readonly unknown[]): RowValues[] =>
  values.map((value, i) => ({ value: templateValue(value) as PythonDict, where: `test.jsonl:${i + 1}` }));

async function requestsOf(yaml: string, rows: readonly RowValues[], numFewshot = 0): Promise<TaskRequests> {
  const task = defined(yaml);
  const documents = await readDocuments(task, () => Promise.resolve(rows), numFewshot > 0);
  return buildRequests(task, documents, { numFewshot, limit: null });
}

const GOOD = { question: 'Q', gold: 1, choices: ['a', 'b'] };

describe('wrong tasks are refused with what to do', () => {
  it('an unknown task has a nearest name', () => {
    expect(() => findTasks(['gsm8'])).toThrow('[tasks] There is no task gsm8. Did you mean gsm8k?');
    expect(() => findTasks(['nothing of the kind'])).toThrow('The tasks are: mmlu, ');
    expect(TASK_NAMES).toContain('mmlu_anatomy');
  });

  it('each built-in task is defined', () => {
    expect(findTasks(TASK_NAMES).tasks).toHaveLength(9 + 2 * 57);
  });

  it.each([
    ['doc_to_txt: a\n', '`doc_to_txt` is no key here. Did you mean `doc_to_text`?'],
    ['output_type: choice\n', 'There is no output_type choice.'],
    ['metric_list: [{metric: accuracy}]\n', 'There is no metric accuracy for multiple_choice.'],
    ['metric_list: [{metric: acc, aggregation: men}]\n', 'Did you mean mean?'],
    ['process_docs: !function utils.f\n', 'calls the Python function utils.f, which cannot run here'],
    ['filter_list: [{name: a, filter: [{function: lowercase}]}]\n', 'must end with take_first'],
    ['filter_list: [{name: a, filter: [{function: regx}, {function: take_first}]}]\n', 'Did you mean regex?'],
    ['fewshot_config: {sampler: random}\n', 'There is no sampler random.'],
    ['num_fewshot: many\n', '`num_fewshot` must be a whole number (got "many").'],
    ['doc_to_image: image\n', '`doc_to_image` is not supported.'],
    ['use: [\n', 'cannot be read as a task'],
  ])('%j', (line, message) => {
    const key = line.slice(0, line.indexOf(':') + 1);
    const others = QUIZ.split('\n').filter((each) => !each.startsWith(key));
    expect(() => defined(others.join('\n') + line)).toThrow(message);
  });
});

describe('rows that do not fit are refused with their place', () => {
  it('a column that is missing', async () => {
    await expect(requestsOf(QUIZ, rowsOf(GOOD, { question: 'Q', choices: ['a'] }))).rejects.toThrow(
      '[test.jsonl:2] The row has no field "gold", which the task quiz reads. Its fields are: question,',
    );
  });

  it('a field of a template that is missing', async () => {
    await expect(requestsOf(QUIZ, rowsOf(GOOD, { gold: 0, choices: ['a'] }))).rejects.toThrow(
      '[test.jsonl:2] The template quiz, doc_to_text fails on this row at line 1, column 3 (question)',
    );
  });

  it('choices that are no texts', async () => {
    await expect(requestsOf(QUIZ, rowsOf({ ...GOOD, choices: [1, 2] }))).rejects.toThrow(
      'doc_to_choice of the task quiz must be a list of texts',
    );
  });

  it('too few examples', async () => {
    await expect(requestsOf(QUIZ, rowsOf(GOOD, GOOD), 3)).rejects.toThrow(
      '3 examples are drawn for each prompt, but there are only 2',
    );
  });

  it('a right answer that is no choice counts as wrong', async () => {
    const { documents } = await requestsOf(QUIZ, rowsOf({ ...GOOD, gold: 7 }));
    expect(documents[0]!.requests).toHaveLength(2);
  });
});
