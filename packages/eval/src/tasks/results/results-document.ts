import { jsonText, PythonFloat, type PythonDict, type PythonValue } from '@qdylora/data';
import type { GroupScores } from '../scoring/score-groups.ts';
import type { TaskScores } from '../scoring/score-task.ts';
import { taskHash } from './sample-lines.ts';
import { taskConfig } from './task-config.ts';

/** What the results say of the model and the run, besides the scores. */
export type RunFacts = Readonly<Record<string, PythonValue>>;

const float = (value: number): PythonValue => new PythonFloat(value);
const errorOf = (standardError: number | null): PythonValue =>
  standardError === null ? 'N/A' : float(standardError);
const mapOf = <T>(items: readonly T[], entry: (item: T) => readonly [string, PythonValue]): PythonDict =>
  new Map(items.map(entry));

/**
 * The harness's `results_<time>.json`: scores, settings, versions and hashes of all tasks and groups.
 *
 * @param facts further entries, which follow the scores
 */
export function resultsDocument(
  scores: readonly TaskScores[],
  groups: readonly GroupScores[],
  facts: RunFacts,
): string {
  const groupEntries = groups.map((group): readonly [string, PythonValue] => [
    group.group.name,
    groupEntry(group),
  ]);
  const sorted = [...scores].sort((a, b) => (a.requests.task.name < b.requests.task.name ? -1 : 1));
  const document: PythonDict = new Map<string, PythonValue>([
    ['results', new Map([...scores.map(taskEntry), ...groupEntries])],
    ...(groups.length > 0 ? [['groups', new Map(groupEntries)] as const] : []),
    ['group_subtasks', mapOf([...groups].reverse(), ({ group }) => [group.name, group.members])],
    ['configs', mapOf(sorted, ({ requests }) => [requests.task.name, taskConfig(requests)])],
    [
      'versions',
      new Map(
        [
          ...scores.map(({ requests: { task } }): [string, PythonValue] => [task.name, task.version]),
          ...groups.map(({ group }): [string, PythonValue] => [group.name, String(group.version)]),
        ].sort(([a], [b]) => (a < b ? -1 : 1)),
      ),
    ],
    ['n-shot', byName(scores, groups, ({ requests }) => requests.numFewshot)],
    [
      'higher_is_better',
      byName(scores, groups, ({ requests: { task } }) =>
        mapOf(task.metrics, ({ name, higherIsBetter }) => [name, higherIsBetter]),
      ),
    ],
    [
      'n-samples',
      mapOf(scores, ({ requests: { task, available, documents } }) => [
        task.name,
        new Map([
          ['original', available],
          ['effective', documents.length],
        ]),
      ]),
    ],
    ...Object.entries(facts),
    ['task_hashes', mapOf(scores, (each) => [each.requests.task.name, taskHash(each)])],
  ]);
  return jsonText(document, { indent: 2 }, () => {});
}

/** Values of tasks, and of the groups that consist of tasks: that of their first one. Sorted by name. */
function byName(
  scores: readonly TaskScores[],
  groups: readonly GroupScores[],
  valueOf: (scores: TaskScores) => PythonValue,
): PythonDict {
  const values = new Map(scores.map((each) => [each.requests.task.name, valueOf(each)]));
  const ofGroups = groups.flatMap(({ group }): [string, PythonValue][] =>
    values.has(group.members[0]) ? [[group.name, values.get(group.members[0])]] : [],
  );
  return new Map([...values, ...ofGroups].sort(([a], [b]) => (a < b ? -1 : 1)));
}

function taskEntry({ requests: { task, documents }, metrics }: TaskScores): readonly [string, PythonValue] {
  return [
    task.name,
    new Map<string, PythonValue>([
      ['name', task.name],
      ['alias', task.alias],
      ['sample_len', documents.length],
      ...metrics.flatMap(({ metric, filter, value, standardError }): [string, PythonValue][] => [
        [`${metric},${filter}`, float(value)],
        [`${metric}_stderr,${filter}`, errorOf(standardError)],
      ]),
    ]),
  ];
}

function groupEntry({ group, metrics }: GroupScores): PythonDict {
  return new Map<string, PythonValue>([
    ['alias', group.alias],
    ['name', group.name],
    ['sample_len', Math.max(0, ...metrics.map(({ documents }) => documents))],
    ...metrics.flatMap(({ metric, filter, value, standardError }): [string, PythonValue][] => [
      [`${metric},${filter}`, float(value)],
      [`${metric}_stderr,${filter}`, errorOf(standardError)],
    ]),
    ['sample_count', mapOf(metrics, ({ metric, filter, documents }) => [`${metric},${filter}`, documents])],
  ]);
}
