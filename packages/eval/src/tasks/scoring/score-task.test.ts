import { PythonFloat, templateValue, type PythonDict } from '@qdylora/data';
import { describe, expect, it } from 'vitest';
import { defineTask } from '../definition/define-task.ts';
import { readTaskYaml } from '../definition/read-task-yaml.ts';
import { readDocuments } from '../documents/task-documents.ts';
import { buildRequests } from '../requests/build-requests.ts';
import type { ModelResponse } from '../requests/model-request.ts';
import { scoreTask, type MetricResult } from './score-task.ts';

const TASK = 'task: edge\ntest_split: test\ndoc_to_text: q\ndoc_to_target: a\n';

/** Scores of documents with these right answers, and these responses: [documents][requests] */
async function scoresOf(
  yaml: string,
  answers: readonly unknown[],
  responses: readonly (readonly ModelResponse[])[],
): Promise<readonly MetricResult[]> {
  const task = defineTask(readTaskYaml(TASK + yaml, 'edge.yaml'), 'edge.yaml');
  const rows = answers.map((a, i) => ({
    value: templateValue({ q: 'Q', a }) as PythonDict,
    where: `test.jsonl:${i + 1}`,
  }));
  const documents = await readDocuments(task, () => Promise.resolve(rows), false);
  const requests = buildRequests(task, documents, { numFewshot: 0, limit: null });
  return scoreTask(
    requests,
    responses.map((each) => each.map((response) => [response])),
    0,
  ).metrics;
}

const floatOf = (value: number): PythonFloat => new PythonFloat(value);
const likelihood = (logLikelihood: number, isGreedy = false): ModelResponse => ({ logLikelihood, isGreedy });

// Each rule is in `api/task.py` and `api/metrics.py` of lm-evaluation-harness 0.4.13; its runs gave the same.
describe('scores at the edges are those of the harness', () => {
  it('a median is that of the sorted values, the upper one of two', async () => {
    const yaml = 'output_type: loglikelihood\nmetric_list: [{metric: perplexity, aggregation: median}]\n';
    const responses = [-1, -9, -10, -2].map((value) => [likelihood(value)]);
    const [median] = await scoresOf(yaml, ['a', 'b', 'c', 'd'], responses);
    expect(median.value).toBe(-2);
  });

  it('where the first document has an empty list, lists are compared as texts', async () => {
    const [match] = await scoresOf('', [[], ['a'], ['b']], [['[]'], ['a'], ["['b']"]]);
    expect(match.items).toEqual([1, 0, 1].map(floatOf));
  });

  it('where it has a list with items, one of them must match', async () => {
    const [match] = await scoresOf('', [['a', 'b'], []], [['b'], ['[]']]);
    expect(match.items).toEqual([1, 0].map(floatOf));
  });

  it.each([
    [-1, [false, true], 1],
    [-1, [true, false], 0],
    [-100, [true, true], 0],
    ['none', [true, true], 0],
    [1, [false, true], 1],
  ])('the label %j counts as greedy by the response at that index', async (label, greedy, expected) => {
    const yaml =
      'output_type: multiple_choice\ndoc_to_choice: ["no", "yes"]\n' +
      'metric_list: [{metric: exact_match}, {metric: acc}]\n';
    const [acc, match] = await scoresOf(
      yaml,
      [label],
      [greedy.map((isGreedy, i) => likelihood(i, isGreedy))],
    );
    expect(match.value).toBe(expected);
    expect(acc.value).toBe(label === 1 ? 1 : 0);
  });
});
