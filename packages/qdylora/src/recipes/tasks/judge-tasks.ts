import {
  answerRequests,
  buildRequests,
  fewshotCount,
  readDocuments,
  scoreTask,
  type AnswerOptions,
  type ChosenTasks,
  type ModelResponse,
  type PromptOptions,
  type TaskRequests,
  type TaskScores,
  type TokenModel,
} from '@qdylora/eval';
import { readSplitIn, readSplitOnHub } from './task-data.ts';
import type { Warn } from '../hooks.ts';

export interface TaskRunOptions extends Pick<PromptOptions, 'chatTemplate' | 'isMultiturn'> {
  /** Null: the rows come from the hub. */
  readonly taskData: string | null;
  readonly tell?: Warn;
  readonly numFewshot: number | null;
  readonly limit: number | null;
  readonly signal?: AbortSignal;
}

/** The requests of all tasks: the same for every rank. */
export async function requestsOfTasks(
  { tasks }: ChosenTasks,
  { taskData, signal, tell, numFewshot: requestedFewshot, ...prompts }: TaskRunOptions,
): Promise<readonly TaskRequests[]> {
  const requests: TaskRequests[] = [];
  for (const task of tasks) {
    const numFewshot = fewshotCount(task, requestedFewshot);
    const readSplit =
      taskData === null ? readSplitOnHub(task, { signal, tell }) : readSplitIn(taskData, task, signal);
    const documents = await readDocuments(task, readSplit, numFewshot > 0);
    requests.push(buildRequests(task, documents, { ...prompts, numFewshot }));
  }
  return requests;
}

/** Answers the requests of all tasks with one view of a model, and judges the answers. */
export async function judgeTasks(
  tasks: readonly TaskRequests[],
  model: TokenModel,
  options: AnswerOptions & { readonly resamples?: number },
): Promise<readonly TaskScores[]> {
  const allRequests = tasks.flatMap(({ task, documents }) =>
    documents.flatMap(({ requests }) => requests.flatMap((request) => repeated(request, task.repeats))),
  );
  const { responses } = await answerRequests(allRequests, model, options);
  let next = 0;
  return tasks.map((requests) => {
    const { repeats } = requests.task;
    const answers = requests.documents.map((document) =>
      document.requests.map((): ModelResponse[] => responses.slice(next, (next += repeats))),
    );
    return scoreTask(requests, answers, options.resamples);
  });
}

const repeated = <T>(item: T, count: number): T[] => new Array<T>(count).fill(item);
