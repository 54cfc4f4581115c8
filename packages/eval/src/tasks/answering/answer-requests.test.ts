import type { Tokenizer } from '@qdylora/data';
import { expect, it } from 'vitest';
import type { ModelRequest, ModelResponse } from '../requests/model-request.ts';
import { requestKey, type AnswerCache } from './answer-cache.ts';
import { answerRequests } from './answer-requests.ts';
import type { TokenModel } from './token-model.ts';

/** A token a character. */
const tokenizer = {
  bosId: 0,
  eosId: null,
  encode: (text: string) => [...text].map((letter) => letter.codePointAt(0)!),
  decode: (ids: readonly number[]) => String.fromCodePoint(...ids),
} as unknown as Tokenizer;

/** Scores by a formula over the tokens; every pass is counted, and `onPass` runs before it. */
function countedModel(onPass: () => void = () => {}) {
  const passes: number[] = [];
  const model: TokenModel = {
    tokenizer,
    maxLength: 8,
    score(sequences) {
      onPass();
      passes.push(sequences.length);
      return Promise.resolve(
        sequences.map(({ ids, targets }) => ({
          logLikelihood: -ids.reduce((sum, id, i) => sum + id * (i + 1), 0) / (1 + targets[0]),
          isGreedy: ids.length % 2 === 0,
        })),
      );
    },
    async *generate(prompt) {
      onPass();
      passes.push(1);
      yield* await Promise.resolve(prompt.map((id) => id + 1));
    },
  };
  return { model, passes };
}

function mapCache(): AnswerCache {
  const answers = new Map<string, ModelResponse>();
  return {
    find: (request) => answers.get(requestKey(request)),
    add: (request, response) => answers.set(requestKey(request), response),
  };
}

const REQUESTS: readonly ModelRequest[] = [
  { type: 'loglikelihood', context: 'a question', continuation: ' yes' },
  { type: 'loglikelihood', context: 'a question', continuation: ' no' },
  { type: 'loglikelihood_rolling', text: 'a text of several windows' },
  { type: 'loglikelihood_rolling', text: '' },
  { type: 'generate_until', context: 'say', settings: new Map([['max_gen_toks', 3]]) },
  { type: 'generate_until', context: 'go', settings: new Map([['max_gen_toks', 3]]) },
];
const SMALL = { tokensPerBatch: 8 };

it('after an abort at any pass, the answers are those of a whole run and no pass runs twice', async () => {
  const whole = countedModel();
  const expected = await answerRequests(REQUESTS, whole.model, SMALL);
  expect(expected.cutContexts).toBe(2);
  for (let last = 1; last < whole.passes.length; last++) {
    const cache = mapCache();
    const controller = new AbortController();
    const first = countedModel(() => {
      if (first.passes.length === last) controller.abort();
    });
    const options = { ...SMALL, cache, signal: controller.signal };
    await expect(answerRequests(REQUESTS, first.model, options)).rejects.toMatchObject({ code: 'ABORTED' });
    const second = countedModel();
    expect(await answerRequests(REQUESTS, second.model, { ...SMALL, cache })).toEqual(expected);
    // the windows of one text are answered together: only those of an unfinished text run again
    expect(second.passes.length).toBeLessThanOrEqual(whole.passes.length - last + 4);
    const third = countedModel();
    expect(await answerRequests(REQUESTS, third.model, { ...SMALL, cache })).toEqual(expected);
    expect(third.passes).toEqual([]);
  }
});

it('the number of passes is told before the first one', async () => {
  const { model, passes } = countedModel();
  const told: number[] = [];
  const cache = mapCache();
  const options = { ...SMALL, cache, onPassCount: (count: number) => told.push(count, passes.length) };
  await answerRequests(REQUESTS, model, options);
  const count = passes.length;
  await answerRequests(REQUESTS, model, options);
  expect(told).toEqual([count, 0, 0, count]);
});

it('requests that differ in any part have different keys', () => {
  const keys = [
    ...REQUESTS,
    { type: 'loglikelihood', context: 'a question yes', continuation: '' } as const,
    { type: 'generate_until', context: 'go', settings: new Map([['max_gen_toks', 4]]) } as const,
  ].map(requestKey);
  expect(new Set(keys).size).toBe(keys.length);
});
