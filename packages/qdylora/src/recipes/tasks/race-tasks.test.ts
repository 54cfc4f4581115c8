import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Tokenizer } from '@qdylora/data';
import { defineTask, readTaskYaml, type AnswerCache, type TokenModel } from '@qdylora/eval';
import { temporaryFolder } from '@qdylora/testing/node';
import { beforeAll, expect, it } from 'vitest';
import type { TaskRequests } from '@qdylora/eval';
import { judgeTasks, requestsOfTasks } from './judge-tasks.ts';
import { openAnswers } from './open-answers.ts';
import { raceTasks, requestsOfRank } from './race-tasks.ts';
import type { RecipeProgress } from '../hooks.ts';

const QUIZ = `task: quiz
dataset_path: made/quiz
test_split: test
output_type: multiple_choice
doc_to_text: "{{question}}?"
doc_to_target: gold
doc_to_choice: ["n", "y"]
`;
const ROWS = 400;

/** A token a character. */
const tokenizer = {
  bosId: 0,
  eosId: null,
  encode: (text: string) => [...text].map((letter) => letter.codePointAt(0)!),
  decode: (ids: readonly number[]) => String.fromCodePoint(...ids),
} as unknown as Tokenizer;

/** Rank 1 knows no answer, rank 2 every third one, ranks 4 and 8 three of four. The question is a number. */
const KNOWS = new Map<number, (row: number) => boolean>([
  [1, () => false],
  [2, (row) => row % 3 === 0],
  [4, (row) => row % 4 !== 0],
  [8, (row) => row % 4 !== 1],
]);

function modelAt(rank: number, onSequences: (count: number) => void): TokenModel {
  const score: TokenModel['score'] = (sequences) => {
    onSequences(sequences.length);
    return Promise.resolve(
      sequences.map(({ ids, targets }) => {
        const row = Number(String.fromCodePoint(...ids.slice(0, 3)));
        const isGold = targets.at(-1) === (row % 2 === 0 ? 110 : 121);
        return { logLikelihood: isGold === KNOWS.get(rank)!(row) ? -1 : -2, isGreedy: false };
      }),
    );
  };
  return { tokenizer, maxLength: 64, score, generate: () => (async function* () {})() };
}

let requests: readonly TaskRequests[];
const folder = temporaryFolder();
const requestsOf = async (yaml: string): Promise<readonly TaskRequests[]> => {
  const chosen = { tasks: [defineTask(readTaskYaml(yaml, 'quiz'), 'quiz')], groups: [] };
  const options = { taskData: folder, numFewshot: null, limit: null, chatTemplate: null, isMultiturn: false };
  return requestsOfTasks(chosen, options);
};
beforeAll(async () => {
  const rows = Array.from({ length: ROWS }, (_, i) => ({
    question: String(i).padStart(3, '0'),
    gold: i % 2,
  }));
  writeFileSync(join(folder, 'test.jsonl'), rows.map((row) => JSON.stringify(row)).join('\n'));
  requests = await requestsOf(QUIZ);
});

it('drops the ranks that know less, and the survivors need only what is missing', async () => {
  const caches = new Map<number, AnswerCache>();
  const answersOf = (rank: number): AnswerCache => {
    const cache = caches.get(rank) ?? openAnswers(null);
    caches.set(rank, cache);
    return cache;
  };
  let sequences = 0;
  const seen: RecipeProgress[] = [];
  const count = (added: number): void => {
    sequences += added;
  };
  const [race] = await raceTasks([1, 2, 4, 8], requests, {
    groups: [],
    modelAt: (rank) => modelAt(rank, count),
    answersOf,
    onProgress: (progress) => seen.push(progress),
  });
  expect(race).toMatchObject({ task: 'quiz', tasks: ['quiz'], survivors: [4, 8] });
  expect(race!.dropped.map(({ rank, reason }) => [rank, reason])).toEqual([
    [1, 'worse'],
    [2, 'worse'],
  ]);
  expect(seen.every(({ done, total, secondsLeft }) => done <= total && secondsLeft! >= 0)).toBe(true);
  const racing = requests.map((one) => requestsOfRank(1, [one], [race!]).length);
  expect([...racing, requestsOfRank(4, requests, [race!]).length]).toEqual([0, 1]);
  expect(requestsOfRank(null, requests, [race!])).toEqual(requests);
  for (const rank of [4, 8]) {
    const scores = await judgeTasks(requests, modelAt(rank, count), { cache: answersOf(rank) });
    expect(scores[0].metrics[0]!.value).toBe(0.75);
  }
  const saved = race!.dropped.reduce((sum, { documents }) => sum + ROWS - documents, 0);
  expect(sequences).toBe(2 * (4 * ROWS - saved)); // two choices a document
  expect(race!.savedShare).toBeCloseTo(saved / (4 * ROWS), 12);
});

it('races by the first metric of metric_list, whatever the order of the results', async () => {
  // the longer choice always wins by acc_norm: it tells no ranks apart, as acc does
  const yaml = QUIZ.replace('["n", "y"]', '["n", "yyyyyyyy"]');
  const racedBy = async (...metrics: readonly string[]) => {
    const listed = metrics.map((metric) => `{metric: ${metric}}`).join(', ');
    const options = { groups: [], answersOf: () => openAnswers(null) };
    const raced = await requestsOf(`${yaml}metric_list: [${listed}]\n`);
    const modelOf = (rank: number): TokenModel => modelAt(rank, () => {});
    return (await raceTasks([1, 4], raced, { ...options, modelAt: modelOf }))[0]!.survivors;
  };
  expect(await racedBy('acc', 'acc_norm')).toEqual([4]);
  expect(await racedBy('acc_norm', 'acc')).toEqual([1, 4]);
});
