import { templateValue, type PythonDict } from '@qdylora/data';
import { describe, expect, it } from 'vitest';
import { harnessRows } from '../../../test/harness-cases.ts';
import { findTasks } from '../built-in/find-tasks.ts';
import { defineTask } from '../definition/define-task.ts';
import { readTaskYaml } from '../definition/read-task-yaml.ts';
import { readDocuments } from '../documents/task-documents.ts';
import { buildRequests } from '../requests/build-requests.ts';
import { scoreGroups } from '../scoring/score-groups.ts';
import { scoreTask, type TaskScores } from '../scoring/score-task.ts';
import { compareRanks, type ScoredView } from './compare-ranks.ts';
import { recommendRanks } from './recommend-ranks.ts';

const CHOSEN = findTasks(['mmlu_stem', 'arc_easy']);

const NORM_FIRST = `task: t
test_split: test
output_type: multiple_choice
doc_to_text: q
doc_to_target: gold
doc_to_choice: ["a", "b"]
metric_list: [{metric: acc_norm}, {metric: acc}]
`;

/** A view whose answers are right where `isRight` says so, by the number of a document. */
async function viewOf(rank: number | null, isRight: (document: number) => boolean): Promise<ScoredView> {
  const scores: TaskScores[] = [];
  for (const task of CHOSEN.tasks) {
    const documents = await readDocuments(
      task,
      (split) => harnessRows(task.datasetPath, task.datasetName, split),
      false,
    );
    const requests = buildRequests(task, documents, { numFewshot: 0, limit: null });
    const answers = requests.documents.map(({ requests: choices, target }, d) =>
      choices.map((_, i) => [{ logLikelihood: (i === target) === isRight(d) ? -1 : -2, isGreedy: false }]),
    );
    scores.push(scoreTask(requests, answers, 0));
  }
  return { rank, scores, groups: scoreGroups(CHOSEN.groups, scores) };
}

describe('compareRanks', () => {
  it('compares each task and, over the documents of all its tasks, each group', async () => {
    const views = await Promise.all([
      viewOf(null, () => false),
      viewOf(2, (d) => d % 2 === 0),
      viewOf(4, () => true),
    ]);
    const reports = compareRanks(views, { adapterBytes: (rank) => 100 * rank });
    const group = reports.find(({ task }) => task === 'mmlu_stem')!;
    const subjects = views[1].scores.filter(({ requests }) => requests.task.name.startsWith('mmlu_'));
    expect(group.documents).toBe(subjects.reduce((sum, { requests }) => sum + requests.documents.length, 0));
    expect(group.test).toBe('mcnemar');
    expect(group.ranks.map(({ adapterBytes }) => adapterBytes)).toEqual([200, 400]);
    expect(group.ranks[1].versusBase!.mean).toBe(1);
    expect(group.ranks[0].score).toBeCloseTo(views[1].groups[0].metrics[0].value, 12);
    expect(reports.filter(({ task }) => task === 'arc_easy').map(({ metric }) => metric)).toEqual([
      'acc',
      'acc_norm',
    ]);
    const { byTask, rankForAll } = recommendRanks(reports, views[0].groups)!;
    expect(byTask.map(({ task, metric }) => [task, metric])).toEqual([
      ['arc_easy', 'acc'],
      ['mmlu_stem', 'acc'],
    ]);
    expect(rankForAll).toBe(4);
  });

  it('has the metrics in the order of metric_list, and recommends by the first one', async () => {
    const task = defineTask(readTaskYaml(NORM_FIRST, 't'), 't');
    const rows = [{ value: templateValue({ q: 'Q', gold: 0 }) as PythonDict, where: 'r:1' }];
    const documents = await readDocuments(task, () => Promise.resolve(rows), false);
    const requests = buildRequests(task, documents, { numFewshot: 0, limit: null });
    const answers = [-1, -2].map((logLikelihood) => [{ logLikelihood, isGreedy: false }]);
    const reports = compareRanks([{ rank: 1, scores: [scoreTask(requests, [answers], 0)], groups: [] }]);
    expect(reports.map(({ metric }) => metric)).toEqual(['acc_norm', 'acc']);
    expect(recommendRanks(reports, [])!.byTask.map(({ metric }) => metric)).toEqual(['acc_norm']);
  });

  it('recommends for all tasks a rank that left a race as indifferent, and none that was worse', async () => {
    const views = await Promise.all([viewOf(1, () => false), viewOf(8, () => true)]);
    const [reportAt1, reportAt8] = views.map((view) => compareRanks([view])[0]);
    const reports = [reportAt1, { ...reportAt8, task: 'other' }];
    const forAll = (reason: 'worse' | 'indifferent'): number | null => {
      const races = [{ task: reportAt1.task, dropped: [{ rank: 8, documents: 25, reason, mean: 0 }] }];
      return recommendRanks(reports, [], races)!.rankForAll;
    };
    expect([forAll('indifferent'), forAll('worse')]).toEqual([8, null]);
  });

  it('has nothing to say without ranks', async () => {
    expect(compareRanks([await viewOf(null, () => true)])).toEqual([]);
    expect(recommendRanks([], [])).toBeNull();
  });
});
