import { createRng } from '@qdylora/contract';
import {
  DOCUMENT_SCALES,
  raceRanks,
  type AnswerCache,
  type DocumentScores,
  type GroupDefinition,
  type RequestEncoder,
  type TaskRequests,
  type TokenModel,
} from '@qdylora/eval';
import type { TaskRace } from '../../report/read-tasks.ts';
import { judgeTasks } from './judge-tasks.ts';
import type { RecipeHooks } from '../hooks.ts';

/** Differences of accuracies that do not matter: one percentage point. */
const INDIFFERENCE = 0.01;

/** What is raced: a task alone, or a group as a whole. */
interface Contest {
  readonly task: string;
  readonly members: readonly TaskRequests[];
}

export interface RaceTasksOptions extends Pick<RecipeHooks, 'signal' | 'onProgress'> {
  readonly groups: readonly GroupDefinition[];
  readonly modelAt: (rank: number) => TokenModel;
  /** Of all these models. */
  readonly encode?: RequestEncoder;
  readonly answersOf: (rank: number) => AnswerCache;
}

/**
 * Races the ranks on each task or group, by its first metric. The answers go into the caches, so that judging
 * the survivors afterwards computes only what is missing. Tasks without a score of a single document (BLEU)
 * are not raced.
 */
export async function raceTasks(
  ranks: readonly number[],
  requests: readonly TaskRequests[],
  options: RaceTasksOptions,
): Promise<readonly TaskRace[]> {
  const contests = contestsOf(requests, options.groups).filter(isComparable);
  const counts = contests.map(({ members }) => documentCount(members));
  const progress = countAnswers(ranks.length * counts.reduce((sum, count) => sum + count, 0), options);
  const races: TaskRace[] = [];
  for (const [c, { task, members }] of contests.entries()) {
    const { name, aggregation, higherIsBetter } = members[0].task.metrics[0];
    const scale = DOCUMENT_SCALES.get(aggregation)!;
    const documents = shuffledDocuments(task, members);
    const measure = (racing: readonly number[], from: number, to: number): Promise<DocumentScores[]> => {
      const part = partOf(members, documents.slice(from, to));
      const measureRank = async (rank: number): Promise<DocumentScores> => {
        const { signal, encode } = options;
        const answers = { signal, cache: options.answersOf(rank), encode, resamples: 0 };
        const scores = await judgeTasks(part, options.modelAt(rank), answers);
        progress(to - from);
        return scale.scoresOf(
          scores.flatMap(({ metrics }) => metrics.find(({ metric }) => metric === name)!.items),
        );
      };
      return Promise.all(racing.map(measureRank));
    };
    const indifference = aggregation === 'mean' ? INDIFFERENCE : null;
    const race = await raceRanks(ranks, counts[c], measure, { higherIsBetter, indifference });
    const answered =
      race.survivors.length * counts[c] + race.dropped.reduce((sum, { documents: n }) => sum + n, 0);
    const savedShare = 1 - answered / (ranks.length * counts[c]);
    const { survivors, dropped } = race;
    races.push({ task, tasks: members.map((one) => one.task.name), survivors, dropped, savedShare });
  }
  return races;
}

/** The requests of the tasks in which a rank is still in the race. */
export const requestsOfRank = (
  rank: number | null,
  requests: readonly TaskRequests[],
  races: readonly TaskRace[],
): readonly TaskRequests[] =>
  requests.filter(
    ({ task: { name } }) =>
      rank === null ||
      races.every(({ tasks, survivors }) => !tasks.includes(name) || survivors.includes(rank)),
  );

/** Each group that no other group has, with its tasks; then the tasks of no group. */
function contestsOf(requests: readonly TaskRequests[], groups: readonly GroupDefinition[]): Contest[] {
  const byName = new Map(groups.map((group) => [group.name, group]));
  const tasksOf = (name: string): readonly string[] => byName.get(name)?.members.flatMap(tasksOf) ?? [name];
  const inner = new Set(groups.flatMap(({ members }) => members));
  const outer = groups.filter(({ name }) => !inner.has(name));
  const ofGroups = outer.map(({ name }): Contest => {
    const tasks = tasksOf(name);
    return { task: name, members: requests.filter(({ task }) => tasks.includes(task.name)) };
  });
  const grouped = new Set(outer.flatMap(({ name }) => tasksOf(name)));
  const single = requests.filter(({ task }) => !grouped.has(task.name));
  return [...ofGroups, ...single.map((one): Contest => ({ task: one.task.name, members: [one] }))];
}

const isComparable = ({ members: [{ task }] }: Contest): boolean =>
  task.metrics.length > 0 && DOCUMENT_SCALES.has(task.metrics[0].aggregation);

const documentCount = (members: readonly TaskRequests[]): number =>
  members.reduce((sum, { documents }) => sum + documents.length, 0);

/** A document by its task and its place there. */
type Place = readonly [member: number, document: number];

/** All documents in a random order, which depends on the name of the task only. */
function shuffledDocuments(task: string, members: readonly TaskRequests[]): Place[] {
  const rng = createRng(0).named(`race ${task}`);
  return members
    .flatMap(({ documents }, m) => documents.map((_, d): Place => [m, d]))
    .map((place, i) => ({ place, key: rng.uniform(i) }))
    .sort((a, b) => a.key - b.key)
    .map(({ place }) => place);
}

/** The requests of some documents; tasks without any are left out. */
const partOf = (members: readonly TaskRequests[], places: readonly Place[]): TaskRequests[] =>
  members.flatMap((requests, m) => {
    const documents = places.filter(([member]) => member === m).map(([, d]) => requests.documents[d]);
    return documents.length > 0 ? [{ ...requests, documents }] : [];
  });

/** Counts documents judged at a rank; what a race saves makes the end come earlier. */
function countAnswers(
  total: number,
  { onProgress }: Pick<RecipeHooks, 'onProgress'>,
  now: () => number = () => performance.now() / 1000,
): (documents: number) => void {
  const begin = now();
  let done = 0;
  return (documents) => {
    done += documents;
    onProgress?.({ done, total, secondsLeft: ((now() - begin) * (total - done)) / done });
  };
}
