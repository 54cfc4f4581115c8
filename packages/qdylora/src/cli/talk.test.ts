import { PassThrough } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import { QdyloraError } from '@qdylora/contract';
import type { ChatMessage } from '@qdylora/data';
import { describe, expect, it } from 'vitest';
import { terminalInMemory } from '../../test/terminal-in-memory.ts';
import type { Answerer } from '../recipes/answer.ts';
import { talk } from './talk.ts';

/** An answerer that counts characters as tokens; only what a conversation needs. */
const answererOf = (answer: Answerer['answer']): Answerer =>
  ({
    usesTemplate: true,
    config: { maxNewTokens: 8 },
    promptOf: (messages: readonly ChatMessage[]) =>
      messages.flatMap(({ content }) => [...(content ?? '')].map(() => 1)),
    longestAnswer: () => 8,
    answer,
  }) as unknown as Answerer;

/** Types `words` into a conversation and ends it. → what it wrote */
async function conversation(answerer: Answerer, words: string, isTty = false) {
  const { terminal, ...written } = terminalInMemory();
  const input = new PassThrough();
  const output = Object.assign(new PassThrough(), { isTTY: isTty, columns: 80 });
  output.resume();
  const type = async (): Promise<void> => {
    for (const key of words) {
      input.write(key);
      for (let turn = 0; turn < 5; turn++) await setImmediate();
    }
    input.end();
  };
  await Promise.all([talk(answerer, [], { terminal, input, output }), type()]);
  return { out: written.out(), err: written.err() };
}

const refusal = (limit: number): QdyloraError =>
  new QdyloraError('BAD_CONFIG', {
    where: 'prompt',
    problem: 'The prompt is too long.',
    nextStep: 'Shorten the prompt.',
    details: { limit },
  });

/** Answers while the prompt has fewer than six tokens. */
const answersShortPrompts = answererOf((prompt) => {
  if (prompt.length > 5) throw refusal(5);
  return (async function* () {
    yield await Promise.resolve({ type: 'text', text: 'yes', tokens: [] } as const);
  })();
});

describe('a conversation', () => {
  it('ends with a note when it leaves no room for an answer', async () => {
    const { out, err } = await conversation(answersShortPrompts, 'a\nbc\nd\n');
    expect(out).toBe('yes\n');
    expect(err).toMatch(/The conversation fills the 5 positions of the model\. Start another one\.\n$/);
  });

  it('refuses a first message that is too long, as a prompt', async () => {
    await expect(conversation(answersShortPrompts, 'abcdef\n')).rejects.toThrow(/Shorten the prompt/);
  });

  it('goes on after Ctrl-C has ended an answer that holds its text back', async () => {
    const prompts: number[] = [];
    const answerer = answererOf(async function* (prompt, signal) {
      prompts.push(prompt.length);
      yield { type: 'text', text: 'x', tokens: [] };
      for (let turn = 0; turn < 1000 && prompts.length === 1; turn++) {
        if (signal?.aborted)
          throw new QdyloraError('ABORTED', { where: 'decode', problem: 'It was aborted.' });
        await setImmediate();
      }
      yield { type: 'text', text: 'late', tokens: [] };
    });
    const { out } = await conversation(answerer, 'a\r\x03b\r', true);
    expect(out).toBe('x\nxlate\n');
    expect(prompts).toEqual([1, 3]); // a, the answer so far, b
  });
});
