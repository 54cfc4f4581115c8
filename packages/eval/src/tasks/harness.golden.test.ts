import { goldenSums } from '@qdylora/testing/node';
import { describe, expect, it } from 'vitest';
import {
  HARNESS_FIXTURES,
  harnessFile,
  harnessRows,
  harnessTemplate,
  type HarnessCase,
} from '../../test/harness-cases.ts';
import { findTasks } from './built-in/find-tasks.ts';
import { compareRanks } from './comparison/compare-ranks.ts';
import { defineTask } from './definition/define-task.ts';
import { readTaskYaml } from './definition/read-task-yaml.ts';
import type { TaskDefinition } from './definition/task-definition.ts';
import { readDocuments } from './documents/task-documents.ts';
import { buildRequests, fewshotCount } from './requests/build-requests.ts';
import type { ModelResponse } from './requests/model-request.ts';
import { resultsDocument } from './results/results-document.ts';
import { sampleLine, taskHash } from './results/sample-lines.ts';
import { scoreGroups } from './scoring/score-groups.ts';
import { programsOf, withPassRates } from './scoring/pass-rates.ts';
import { scoreTask, type TaskScores } from './scoring/score-task.ts';

/**
 * Runs of lm-evaluation-harness 0.4.13 over made documents, with fixed answers in place of a model
 * (packages/testing/makers/make_harness_tasks.py).
 */
const OWN = Object.entries(harnessFile.own_tasks).map(([name, yaml]) =>
  defineTask(readTaskYaml(yaml, name), name),
);
const RESAMPLES = 1000;

/** The answers that the fixed model gave, from the lines of the harness: [documents][requests][repeats] */
function answersOf(lines: readonly string[], task: TaskDefinition): ModelResponse[][][] {
  const isText = task.outputType === 'generate_until';
  const answerOf = (answer: unknown): ModelResponse => {
    if (typeof answer === 'string') return isText ? answer : Number(answer);
    const [logLikelihood, isGreedy] = answer as [string, string];
    return { logLikelihood: Number(logLikelihood), isGreedy: isGreedy === 'True' };
  };
  return lines.map((line) =>
    (JSON.parse(line) as { resps: unknown[][] }).resps.map((repeated) => repeated.map(answerOf)),
  );
}

/**
 * Results without paths, the source of Python functions, and what would be executed; numbers to 12 digits.
 */
function comparable(results: unknown): unknown {
  const text = JSON.stringify(results, (key, value: unknown) => {
    if (key === 'metadata' || key === 'process_docs' || key === 'process_results') return undefined;
    // the harness lists pass@1 a second time, by the name of its function
    if (key === 'pass_at_k') return undefined;
    if (key === 'filter_list' || key === 'metric_list') return undefined;
    if (typeof value === 'string' && /^(def |<function|!function)/.test(value)) return undefined;
    return typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(12)) : value;
  });
  return JSON.parse(text) as unknown;
}

async function scoresOf(golden: HarnessCase, task: TaskDefinition): Promise<TaskScores> {
  const numFewshot = fewshotCount(task, golden.num_fewshot);
  const documents = await readDocuments(
    task,
    (split) => harnessRows(task.datasetPath, task.datasetName, split),
    numFewshot > 0,
  );
  const requests = buildRequests(task, documents, {
    numFewshot,
    limit: golden.limit,
    chatTemplate: golden.apply_chat_template ? harnessTemplate : null,
    isMultiturn: golden.fewshot_as_multiturn,
    systemInstruction: golden.system_instruction,
  });
  const lines = golden.samples[task.name]!.trim().split('\n').slice(0, requests.documents.length);
  const scores = scoreTask(requests, answersOf(lines, task), RESAMPLES);
  // the fixed answers are no programs: all have failed
  return programsOf(scores)
    ? withPassRates(
        scores,
        programsOf(scores)!.map(() => [false]),
      )
    : scores;
}

describe('tasks equal lm-evaluation-harness 0.4.13', () => {
  it('the golden files are as they were made', () => {
    for (const { hash, said } of goldenSums(HARNESS_FIXTURES)) expect(hash).toBe(said);
  });

  it.each(harnessFile.cases.map((golden) => [golden.name, golden] as const))(
    '%s: requests, hashes, scores and standard errors',
    async (_name, golden) => {
      const { tasks, groups } = findTasks(golden.tasks, OWN);
      expect(groups.map(({ name }) => name).sort()).toEqual(Object.keys(golden.expected.groups ?? {}).sort());
      const allScores: TaskScores[] = [];
      for (const task of tasks) {
        const scores = await scoresOf(golden, task);
        allScores.push(scores);
        const lines = golden.samples[task.name]!.trim().split('\n');
        expect(scores.samples.map(sampleLine)).toEqual(lines);
        expect(taskHash(scores)).toBe(golden.expected.task_hashes[task.name]);
        expect(scores.requests.available).toBe(golden.expected['n-samples'][task.name]!.original);
        const expected = golden.expected.results[task.name]!;
        for (const { metric, filter, value, standardError } of scores.metrics) {
          expect(value).toBeCloseTo(expected[`${metric},${filter}`] as number, 12);
          const error = expected[`${metric}_stderr,${filter}`];
          if (error === 'N/A') expect(standardError).toBeNull();
          else expect(standardError).toBeCloseTo(error as number, 12);
        }
        const names = Object.keys(expected).filter((key) => /,/.test(key) && !key.includes('_stderr'));
        expect(scores.metrics.map(({ metric, filter }) => `${metric},${filter}`)).toEqual(names);
      }
      const view = { rank: 4, scores: allScores, groups: scoreGroups(groups, allScores) };
      for (const { task, metric, filter, ranks } of compareRanks([view])) {
        const expected = golden.expected.results[task]![`${metric},${filter}`] as number;
        expect(Math.abs(ranks[0].score - expected)).toBeLessThanOrEqual(1e-12 * Math.abs(expected));
      }
      const document = JSON.parse(resultsDocument(allScores, scoreGroups(groups, allScores), {})) as unknown;
      expect(comparable(document)).toEqual(comparable(golden.expected));
    },
  );
});
