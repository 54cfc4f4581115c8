import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import type { ModelRequest, ModelResponse } from '@qdylora/eval';
import { temporaryFolder } from '@qdylora/testing/node';
import fc from 'fast-check';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openAnswers } from './open-answers.ts';

const request = (context: string): ModelRequest => ({ type: 'loglikelihood', context, continuation: ' a' });
const answers: fc.Arbitrary<ModelResponse> = fc.oneof(
  fc.string({ unit: 'grapheme' }),
  fc.double(),
  fc.record({ logLikelihood: fc.double(), isGreedy: fc.boolean() }, { noNullPrototype: true }),
);

describe('a file of answers', () => {
  it('gives every answer back, bit for bit, when it is opened again', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.string(), { maxLength: 6 }), fc.array(answers), (contexts, values) => {
        const path = join(temporaryFolder(), 'model/answers.jsonl');
        const kept = contexts.slice(0, values.length);
        const file = openAnswers(path);
        kept.forEach((context, i) => file.add(request(context), values[i]!));
        const again = openAnswers(path);
        kept.forEach((context, i) => expect(again.find(request(context))).toStrictEqual(values[i]));
        expect(again.find(request(`${contexts.join('')}!`))).toBeUndefined();
      }),
      { numRuns: 30 },
    );
  });

  it('drops a line that was cut off, and appends after the whole ones', () => {
    const path = join(temporaryFolder(), 'answers.jsonl');
    openAnswers(path).add(request('é'), 'one');
    const whole = readFileSync(path, 'utf8');
    appendFileSync(path, whole.slice(0, -5));
    const file = openAnswers(path);
    expect(file.find(request('é'))).toBe('one');
    file.add(request('b'), -0);
    expect(readFileSync(path, 'utf8').startsWith(whole)).toBe(true);
    expect(openAnswers(path).find(request('b'))).toBe(-0);
  });

  it('is refused with its line where it holds something else', () => {
    const path = join(temporaryFolder(), 'answers.jsonl');
    writeFileSync(path, '{"request":"x","text":"a"}\n{"rank":1}\n');
    expect(() => openAnswers(path)).toThrow(/answers.jsonl:2.*not a stored answer/s);
  });
});
