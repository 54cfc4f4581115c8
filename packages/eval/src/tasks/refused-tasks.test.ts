import { templateValue, type PythonDict, type RowValues } from '@qdylora/data';
import { describe, expect, it } from 'vitest';
import { findTasks, TASK_NAMES } from './built-in/find-tasks.ts';
import { defineTask } from './definition/define-task.ts';
import { readTaskYaml } from './definition/read-task-yaml.ts';
import { readDocuments } from './documents/task-documents.ts';
import { buildRequests, type TaskRequests } from './requests/build-requests.ts';
import { withPassRates } from './scoring/pass-rates.ts';
import { scoreTask } from './scoring/score-task.ts';

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

const FIRST = '{name: a, filter: [{function: take_first}]}';

const WRITTEN = `task: sums
test_split: test
doc_to_text: question
doc_to_target: gold
`;

describe('wrong tasks are refused with what to do', () => {
  it('an unknown task has a nearest name', () => {
    expect(() => findTasks(['gsm8'])).toThrow('[tasks] Unknown task: gsm8. Did you mean gsm8k?');
    expect(() => findTasks(['nothing of the kind'])).toThrow('The tasks are: mmlu, ');
    expect(TASK_NAMES).toContain('mmlu_anatomy');
  });

  it('keeps the keys for data sets of Python, but trust_remote_code, which changes nothing here', () => {
    const keysOf = (kwargs: string) => defined(`${QUIZ}dataset_kwargs: ${kwargs}\n`).datasetKeys;
    expect(keysOf('{trust_remote_code: true}')).toEqual([]);
    expect(keysOf('{trust_remote_code: true, data_dir: law}')).toEqual(['data_dir']);
  });

  it('each built-in task is defined', () => {
    expect(findTasks(TASK_NAMES).tasks).toHaveLength(9 + 2 * 57);
  });

  it.each([
    ['doc_to_txt: a\n', '`doc_to_txt` is not a known key. Did you mean `doc_to_text`?'],
    ['output_type: choice\n', 'There is no output_type choice.'],
    ['metric_list: [{metric: accuracy}]\n', 'There is no metric accuracy for multiple_choice.'],
    ['metric_list: [{metric: acc, aggregation: men}]\n', 'Did you mean mean?'],
    ['process_docs: !function utils.f\n', 'calls the Python function utils.f, which cannot run here'],
    [
      'fewshot_config: {doc_to_target: !function utils.g}\n',
      '`doc_to_target` calls the Python function utils.g',
    ],
    ['doc_to_text: !function utils.t\n', '`doc_to_text` calls the Python function utils.t'],
    ['description: !function utils.d\n', '`description` calls the Python function utils.d, which cannot run'],
    ['gen_prefix: !function utils.p\n', '`gen_prefix` calls the Python function utils.p'],
    ['target_delimiter: !function utils.e\n', '`target_delimiter` calls the Python function utils.e'],
    [
      'fewshot_config: {gen_prefix: !function utils.p}\n',
      '[quiz.yaml, fewshot_config] `gen_prefix` calls the Python function utils.p',
    ],
    [
      'filter_list: [{name: a, filter: [{function: custom, filter_fn: !function utils.h}]}]\n',
      '`filter_fn` calls the Python function utils.h, which cannot run here',
    ],
    ['filter_list: [{name: a, filter: [{function: lowercase}]}]\n', 'must end with take_first'],
    ['filter_list: [{name: a, filter: [{function: regx}, {function: take_first}]}]\n', 'Did you mean regex?'],
    ['fewshot_config: {sampler: random}\n', 'There is no sampler random.'],
    ['num_fewshot: many\n', '`num_fewshot` must be a whole number (got "many").'],
    ['num_fewshot: 1.5\n', '`num_fewshot` must be a whole number (got 1.5).'],
    ['num_fewshot: -1\n', '`num_fewshot` must be a whole number of at least 0 (got -1).'],
    ['repeats: 0\n', '`repeats` must be a whole number of at least 1 (got 0).'],
    [
      'metric_list: [{metric: acc, aggregation: bleu}]\n',
      '`aggregation` of acc cannot be bleu. It may be mean',
    ],
    ['filter_list: [{name: a, filter: []}]\n', 'must end with take_first'],
    [
      'filter_list: [{name: a, filter: [{function: take_first_k, k: 2}, {function: take_first}]}]\n',
      '`k` is 2, but `repeats` of the task is 1. Raise `repeats`.',
    ],
    [`filter_list: [${FIRST}, ${FIRST}]\n`, 'two lists of filters with the name a'],
    ['doc_to_image: image\n', '`doc_to_image` is not supported.'],
    ['dataset_kwargs: law\n', '`dataset_kwargs` must be a mapping (got "law").'],
    ['use: [\n', 'cannot be read as a task'],
  ])('%j', (line, message) => {
    const key = line.slice(0, line.indexOf(':') + 1);
    const others = QUIZ.split('\n').filter((each) => !each.startsWith(key));
    expect(() => defined(others.join('\n') + line)).toThrow(message);
  });
});

it.each(['doc_to_text', 'doc_to_choice'])('a Python function of the target stands for none of %s', (key) => {
  const others = QUIZ.split('\n').filter((line) => !line.startsWith(key));
  const yaml = readTaskYaml(`${others.join('\n')}${key}: !function utils.f\n`, 'quiz.yaml');
  expect(() => defineTask(yaml, 'quiz.yaml', { target: () => '' })).toThrow(
    `\`${key}\` calls the Python function utils.f, which cannot run here`,
  );
});

it.each([0, -1, NaN])('a limit of %s documents is refused', async (limit) => {
  const task = defined(QUIZ);
  const documents = await readDocuments(task, () => Promise.resolve(rowsOf(GOOD)), false);
  expect(() => buildRequests(task, documents, { numFewshot: 0, limit })).toThrow(
    expect.objectContaining({
      code: 'BAD_ARGUMENT',
      message: expect.stringContaining('`limit` must be greater than 0, or null for all documents') as string,
    }),
  );
});

it.each([[[]], [[[]]], [[[true], []]], [[[true], [true]]]])(
  'outcomes %j of one document are refused',
  async (passed) => {
    const scores = scoreTask(await requestsOf(WRITTEN, rowsOf({ question: 'Q', gold: '1' })), [[['1']]]);
    expect(() => withPassRates(scores, passed)).toThrow(
      /There must be at least one outcome for each document \(got \d lists for 1 documents\)/,
    );
    expect(withPassRates(scores, [[true, false]]).metrics[0]!.value).toBe(0.5);
  },
);

describe('a wrong setting of generation_kwargs is refused by its key', () => {
  it.each([
    ['{until: [1]}', '`until` must be a text or a list of texts'],
    ['{until: 5}', '`until` must be a text or a list of texts (got 5).'],
    ['{max_gen_toks: "9"}', '`max_gen_toks` must be a whole number (got "9").'],
    ['{max_new_tokens: 0}', '`max_new_tokens` must be a whole number of at least 1 (got 0).'],
    ['{temperature: hot}', '`temperature` must be a number.'],
  ])('%s', (settings, message) => {
    expect(() => defined(`${WRITTEN}generation_kwargs: ${settings}\n`)).toThrow(message);
  });
});

it('a response with fewer matches than group_select needs is refused by the key', async () => {
  const second = '{function: regex, regex_pattern: "[0-9]", group_select: 1}';
  const yaml = `${WRITTEN}filter_list: [{name: a, filter: [${second}, {function: take_first}]}]\n`;
  const requests = await requestsOf(yaml, rowsOf({ question: 'Q', gold: '1' }));
  expect(scoreTask(requests, [[['0 1']]]).metrics[0]!.value).toBe(1);
  expect(() => scoreTask(requests, [[['1']]])).toThrow(
    '[quiz.yaml, filter_list 1, filter 1] `group_select` is 1, but a response has only 1 matches',
  );
});

it('a response for which map gives None is refused with its row', async () => {
  const scoresOf = async (map: string, response = 'b') => {
    const step = `{function: map, mapping_dict: {a: "1", n: null}${map}}`;
    const yaml = `${WRITTEN}filter_list: [{name: m, filter: [${step}, {function: take_first}]}]\n`;
    const requests = await requestsOf(yaml, rowsOf({ question: 'Q', gold: '1' }));
    return scoreTask(requests, [[[response]]]).metrics[0]!.value;
  };
  await expect(scoresOf('')).rejects.toThrow(
    '[test.jsonl:1] The filter map gives None for the response "b". Add it to `mapping_dict`, or give a ' +
      '`default_value` that is not null.',
  );
  await expect(scoresOf('', 'n')).rejects.toThrow('gives None for the response "n". ');
  await expect(scoresOf('', 'x'.repeat(101))).rejects.toThrow(`the response "${'x'.repeat(100)}…". `);
  expect(await scoresOf(', default_value: "1"')).toBe(1);
});

describe('rows that do not fit are refused with their place', () => {
  it('a field that is missing in a row, which is None there', async () => {
    await expect(requestsOf(QUIZ, rowsOf(GOOD, { question: 'Q', choices: ['a'] }))).rejects.toThrow(
      '[test.jsonl:2] doc_to_target of the task quiz must give a choice or its index (got None)',
    );
  });

  it('a question that is null, which is not the name of its column', async () => {
    await expect(requestsOf(WRITTEN, rowsOf({ question: null, gold: '1' }))).rejects.toThrow(
      '[test.jsonl:1] doc_to_text of the task sums must be a text (got None)',
    );
  });

  it.each([
    [3, undefined, '(got integer)'],
    [['a'], undefined, '(got list)'],
    ['7', '"{{question}}"', '(got digits, an index of contexts, which is not supported)'],
  ])('a question of %j', async (question, template, got) => {
    const yaml = QUIZ.replace('"{{question}}"', template ?? 'question');
    await expect(requestsOf(yaml, rowsOf({ ...GOOD, question }))).rejects.toThrow(
      `[test.jsonl:1] doc_to_text of the task quiz must be a text ${got}`,
    );
  });

  it.each([
    ['ctx_b', { ctx_b: 3 }, 'ctx_b of the task hellaswag must be a text'],
    ['activity_label', { activity_label: undefined }, 'The row has no field "activity_label"'],
    ['endings', { endings: [1] }, 'endings of the task hellaswag must be a list of texts'],
  ])('a row of hellaswag with another %s', async (_, other, message) => {
    const [task] = findTasks(['hellaswag']).tasks;
    const good = { ctx_a: 'A', ctx_b: 'b', activity_label: 'L', endings: ['x', 'y'], label: '1' };
    const row = JSON.parse(JSON.stringify({ ...good, ...other })) as object;
    const read = (value: object) => readDocuments(task!, () => Promise.resolve(rowsOf(value)), false);
    await expect(read(row)).rejects.toThrow(`[test.jsonl:1] ${message}`);
    expect((await read(good)).judged[0]!.value.get('query')).toBe('L: A B');
  });

  it('a row of wikitext without a page, or with one that is no text', async () => {
    const [task] = findTasks(['wikitext']).tasks;
    const documentsOf = (row: object) => readDocuments(task!, () => Promise.resolve(rowsOf(row)), false);
    await expect(documentsOf({ text: 'a' })).rejects.toThrow(
      '[test.jsonl:1] The row has no field "page", which the task wikitext reads. Its fields are: text.',
    );
    await expect(documentsOf({ page: null })).rejects.toThrow('page of the task wikitext must be a text');
  });

  it('a field of a template that no row has', async () => {
    await expect(requestsOf(QUIZ, rowsOf({ gold: 0, choices: ['a'] }))).rejects.toThrow(
      '[test.jsonl:1] The template quiz, doc_to_text fails on this row at line 1, column 3 (question)',
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

  it.each([
    [1.5, '(got 1.5)'],
    [null, '(got None)'],
    [{ index: 1 }, "(got {'index': 1})"],
    [[0, null], '(got None)'],
  ])('a right answer of %j, which is neither a choice nor an index', async (gold, shown) => {
    await expect(requestsOf(QUIZ, rowsOf({ ...GOOD, gold }))).rejects.toThrow(
      `[test.jsonl:1] doc_to_target of the task quiz must give a choice or its index ${shown}`,
    );
  });

  it.each([[2], ['b'], [null]])('a generated answer that is compared with choice %j of two', async (gold) => {
    const yaml = `${WRITTEN}doc_to_choice: choices\n`;
    await expect(requestsOf(yaml, rowsOf({ ...GOOD, gold }))).rejects.toThrow('index of one of 2 choices');
  });

  it('an empty choice of the first row, of another row without delimiter, and an empty answer', async () => {
    const empty = { ...GOOD, choices: ['a', ''] };
    const message = 'doc_to_choice of the task quiz has an empty choice';
    await expect(requestsOf(QUIZ, rowsOf(empty))).rejects.toThrow(`[test.jsonl:1] ${message}`);
    expect((await requestsOf(QUIZ, rowsOf(GOOD, empty))).documents).toHaveLength(2);
    const bare = `${QUIZ}target_delimiter: ""\n`;
    await expect(requestsOf(bare, rowsOf(GOOD, empty))).rejects.toThrow(`[test.jsonl:2] ${message}`);
    const answer = `${WRITTEN}output_type: loglikelihood\n`;
    await expect(requestsOf(answer, rowsOf({ question: 'Q', gold: '' }))).rejects.toThrow(
      '[test.jsonl:1] doc_to_target of the task sums gives an empty text',
    );
  });

  it('a right answer that is no choice counts as wrong', async () => {
    const { documents } = await requestsOf(QUIZ, rowsOf({ ...GOOD, gold: 7 }));
    expect(documents[0]!.requests).toHaveLength(2);
  });
});

it('the beginning of an answer is empty where its column is null or missing', async () => {
  const rows = rowsOf(
    { question: 'Q', gold: '1', hint: 'H' },
    { question: 'Q', gold: '1', hint: null },
    { question: 'Q', gold: '1' },
  );
  const { documents } = await requestsOf(`${WRITTEN}gen_prefix: hint\n`, rows);
  const contexts = documents.map(({ requests: [request] }) => 'context' in request! && request.context);
  expect(contexts).toEqual(['Q H', 'Q', 'Q']);
});
