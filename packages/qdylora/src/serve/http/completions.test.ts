import type { Tokenizer } from '@qdylora/data';
import type { DecodeEvent, DecodeOptions } from '@qdylora/models';
import { expect, test } from 'vitest';
import { scriptedApp } from '../../../test/scripted-app.ts';
import { EMBEDDED_BASE } from '../../../test/served-run.ts';
import { openTokenizer } from '../../recipes/opening/open-base.ts';

const tokenizer = (await openTokenizer(EMBEDDED_BASE))!;

/** The likeliest token is always `a`, at −1. Other tokens have −9. */
const [LIKELIEST] = tokenizer.encode('a');
const chanceOf = (id: number): number => (id === LIKELIEST ? -1 : -9);
const LIKELIEST_CHANCE = { id: LIKELIEST, logProbability: -1 };

/** A server that answers with a text, and the options of its requests. */
async function serverOf(answer: string, reader: Tokenizer = tokenizer) {
  const requests: DecodeOptions[] = [];
  let lastSeed = 100;
  const app = await scriptedApp({
    tokenizer: reader,
    newSeed: () => lastSeed++,
    // eslint-disable-next-line @typescript-eslint/require-await
    async *decode(_, prompt, options = {}): AsyncGenerator<DecodeEvent> {
      requests.push(options);
      const scores = {
        logProbabilities: Float64Array.from(prompt, (_, i) => chanceOf(prompt[i + 1])),
        topIds: Int32Array.from(prompt, () => LIKELIEST),
        topLogProbabilities: Float64Array.from(prompt, () => -1),
      };
      yield { type: 'prompt', scores: scores as never, nextScores: null };
      const top = [LIKELIEST_CHANCE].slice(0, options.topLogProbabilities);
      for (const id of tokenizer.encode(answer))
        yield { type: 'token', id, logProbability: chanceOf(id), top };
      yield { type: 'end', reason: 'stop', stopToken: null };
    },
  });
  const complete = async (body: object) => {
    const { json } = await app.post('/v1/completions', JSON.stringify({ model: 'smol', ...body }));
    return json.choices[0] as { text: string; logprobs: Record<string, any> };
  };
  return { requests, complete };
}

test('without a seed each prompt of a request has its own, also the same prompt twice', async () => {
  const { requests, complete } = await serverOf('a');
  await complete({ prompt: ['joke', 'joke'], n: 2 });
  expect(new Set(requests.map(({ seed }) => seed)).size).toBe(4);
  requests.length = 0;
  await complete({ prompt: ['joke', 'joke'], seed: 7 });
  expect(requests.map(({ seed }) => seed)).toEqual([7, 7]);
});

test('the log-probabilities of a token have its own entry beside the likeliest ones', async () => {
  const { complete } = await serverOf('!a');
  const request = { prompt: 'a!', echo: true };
  const { logprobs } = await complete({ ...request, logprobs: 1 });
  expect(logprobs.tokens).toEqual(['a', '!', '!', 'a']);
  expect(logprobs.top_logprobs).toEqual([null, { a: -1, '!': -9 }, { a: -1, '!': -9 }, { a: -1 }]);
  const { logprobs: without } = await complete({ ...request, logprobs: 0 });
  expect(without.top_logprobs).toEqual([null, { '!': -9 }, { '!': -9 }, { a: -1 }]);
});

/** Tokens that are whole characters, and what the text has between their offset and the next one. */
function wholeTokens(text: string, { tokens, text_offset: offsets }: Record<string, any>) {
  const characters = Array.from(text);
  return (tokens as string[]).flatMap((token, i) => {
    const part = characters.slice(offsets[i] as number, offsets[i + 1] as number | undefined).join('');
    return token.includes('\ufffd') ? [] : [{ token, part }];
  });
}

const special = tokenizer.eosId!;
const specialText = tokenizer.decode([special]);

test.each([
  ['a text with characters of two UTF-16 units', '🙂 one 🙂🙂 two', '🙂 one 🙂🙂 two'],
  [
    'a text with a special token',
    `${specialText}one${specialText} two`,
    `${specialText}one${specialText} two`,
  ],
  ['ids that begin with a special token', [special, ...tokenizer.encode('one')], `${specialText}one`],
])('the offsets of %s count the characters of the returned text', async (_, prompt, echoed) => {
  const { complete } = await serverOf(' and 🙂, then this');
  const { text, logprobs } = await complete({ prompt, echo: true, logprobs: 0 });
  expect(text).toBe(`${echoed} and 🙂, then this`);
  const tokens = wholeTokens(text, logprobs);
  expect(tokens.length).toBeGreaterThan(3);
  for (const { token, part } of tokens) expect(part).toBe(token);
});

test('a special token that begins every text is not in the offsets of an echoed text', async () => {
  const encode: Tokenizer['encode'] = (text, { addSpecialTokens = false } = {}) => [
    ...(addSpecialTokens ? [special] : []),
    ...tokenizer.encode(text),
  ];
  const { complete } = await serverOf(' two', { ...tokenizer, encode });
  const { text, logprobs } = await complete({ prompt: '🙂 one', echo: true, logprobs: 0 });
  expect([text, logprobs.tokens[0]]).toEqual(['🙂 one two', specialText]);
  for (const { token, part } of wholeTokens(text, logprobs).slice(1)) expect(part).toBe(token);
});
