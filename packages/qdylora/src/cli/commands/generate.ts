import { createInterface } from 'node:readline/promises';
import { setImmediate } from 'node:timers/promises';
import { QdyloraError } from '@qdylora/contract';
import type { ChatMessage } from '@qdylora/data';
import type { Command } from 'commander';
import { GENERATE_KEYS } from '../../config/verb-keys.ts';
import { openAnswerer, type Answerer } from '../../recipes/answer.ts';
import { precisionText } from '../../recipes/opening/weight-precision.ts';
import type { CommonFlags, Context } from '../context.ts';
import { addKeyFlags, explicitFlags } from '../key-flags.ts';
import type { Terminal } from '../terminal.ts';

export function addGenerateCommand(program: Command, context: Context): void {
  const command = program
    .command('generate')
    .summary('answer a prompt, or talk')
    .description(
      'Streams an answer to a prompt, at any rank of an adapter. Without --prompt: a conversation in the ' +
        'terminal.',
    );
  addKeyFlags(command, GENERATE_KEYS).option('--json', 'Print one JSON document');
  command.action(async (flags: CommonFlags & Record<string, string | undefined>) => {
    const { terminal } = context;
    terminal.status('loading the model …');
    using answerer = await openAnswerer(explicitFlags(GENERATE_KEYS, flags), { onNotice: terminal.note });
    terminal.status('');
    terminal.note(terminal.paint('dim', precisionText(answerer.precision)));
    const { prompt, promptIds, system } = answerer.config;
    const opening: ChatMessage[] = system ? [{ role: 'system', content: system }] : [];
    if (promptIds) return await answerOnce(answerer, promptIds, context, flags);
    if (prompt) {
      const ids = answerer.promptOf([...opening, { role: 'user', content: prompt }]);
      return await answerOnce(answerer, ids, context, flags);
    }
    if (!terminal.canAsk)
      throw new QdyloraError('BAD_CONFIG', {
        where: 'prompt',
        problem: 'There is no prompt, and standard input is not a terminal to type one',
        nextStep: 'Give one: --prompt "…".',
      });
    await talk(answerer, opening, terminal);
  });
}

/** The first token comes after the whole prompt was read, which takes seconds for a long prompt. */
const readingText = (promptTokens: number): string =>
  `reading the prompt (${promptTokens.toLocaleString('en-US')} tokens) …`;

async function answerOnce(
  answerer: Answerer,
  prompt: readonly number[],
  { terminal, interruptible }: Context,
  { json }: CommonFlags,
): Promise<void> {
  const { tokenizer } = answerer;
  const ids: number[] = [];
  terminal.status(readingText(prompt.length));
  await setImmediate(); // reading blocks the thread
  await interruptible(async (signal) => {
    const pieces = tokenizer && !json ? answerer.text(prompt, signal) : answerer.ids(prompt, signal);
    for await (const piece of pieces) {
      if (typeof piece === 'number') ids.push(piece);
      if (json) terminal.status(`${ids.length} tokens …`);
      else terminal.write(typeof piece === 'number' ? `${ids.length > 1 ? ' ' : ''}${piece}` : piece);
      await setImmediate(); // lets Ctrl-C through
    }
  });
  if (!json) return terminal.out('');
  const text = tokenizer?.decode(ids, { skipSpecialTokens: true }) ?? null;
  const { precision } = answerer;
  terminal.out(JSON.stringify({ text, ids, prompt_tokens: prompt.length, precision }, null, 2));
}

/**
 * Answers line after line until the input ends. Ctrl-C ends an answer, or the conversation between two
 * answers. Without a chat template each line is a prompt by itself.
 */
async function talk(answerer: Answerer, opening: readonly ChatMessage[], terminal: Terminal): Promise<void> {
  const reader = createInterface({ input: process.stdin, output: process.stderr });
  const messages: ChatMessage[] = [...opening];
  let answering: AbortController | null = null;
  reader.on('SIGINT', () => {
    if (answering) answering.abort();
    else reader.close();
  });
  terminal.note(
    terminal.paint('dim', 'Type, and press Enter. Ctrl-C ends an answer, Ctrl-D the conversation.'),
  );
  reader.setPrompt('> ');
  reader.prompt();
  for await (const line of reader) {
    if (line.trim() !== '') {
      if (!answerer.usesTemplate) messages.length = 0;
      messages.push({ role: 'user', content: line });
      answering = new AbortController();
      const answer = await streamAnswer(answerer, messages, terminal, answering.signal);
      messages.push({ role: 'assistant', content: answer });
      answering = null;
      terminal.out('');
    }
    reader.prompt();
  }
}

/** Streams an answer and returns its text; after an abort, the text so far. */
async function streamAnswer(
  answerer: Answerer,
  messages: readonly ChatMessage[],
  { status, write }: Terminal,
  signal: AbortSignal,
): Promise<string> {
  const prompt = answerer.promptOf(messages);
  let answer = '';
  status(readingText(prompt.length));
  await setImmediate(); // reading blocks the thread
  for await (const piece of answerer.text(prompt)) {
    write(piece);
    answer += piece;
    await setImmediate(); // lets keys through
    if (signal.aborted) break;
  }
  return answer;
}
