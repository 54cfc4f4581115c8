import { createInterface } from 'node:readline/promises';
import { setImmediate } from 'node:timers/promises';
import { QdyloraError } from '@qdylora/contract';
import type { ChatMessage } from '@qdylora/data';
import type { Command } from 'commander';
import { GENERATE_KEYS } from '../../config/verb-keys.ts';
import { openAnswerer, type Answerer } from '../../recipes/answer.ts';
import type { CommonFlags, Context } from '../context.ts';
import { addKeyFlags, givenFlags } from '../key-flags.ts';

export function addGenerateCommand(program: Command, context: Context): void {
  const command = program
    .command('generate')
    .summary('answer a prompt, or talk')
    .description(
      'Streams an answer to a prompt, at any rank of an adapter. Without --prompt: a conversation on the ' +
        'terminal.',
    );
  addKeyFlags(command, GENERATE_KEYS).option('--json', 'Print one JSON document');
  command.action(async (flags: CommonFlags & Record<string, string | undefined>) => {
    using answerer = await openAnswerer(givenFlags(GENERATE_KEYS, flags), {
      onNotice: (message) => context.terminal.note(message),
    });
    const { prompt, promptIds, system } = answerer.config;
    const opening: ChatMessage[] = system ? [{ role: 'system', content: system }] : [];
    if (promptIds) return await answerOnce(answerer, promptIds, context, flags);
    if (prompt)
      return await answerOnce(
        answerer,
        answerer.promptOf([...opening, { role: 'user', content: prompt }]),
        context,
        flags,
      );
    if (!context.terminal.canAsk)
      throw new QdyloraError('BAD_CONFIG', {
        where: 'prompt',
        problem: 'expected a prompt, got none, and nobody can type here',
        nextStep: 'Give one: --prompt "…".',
      });
    await talk(answerer, opening, context);
  });
}

async function answerOnce(
  answerer: Answerer,
  prompt: readonly number[],
  { terminal, interruptible }: Context,
  { json }: CommonFlags,
): Promise<void> {
  const { tokenizer } = answerer;
  const ids: number[] = [];
  await interruptible(async (signal) => {
    const pieces = tokenizer && !json ? answerer.text(prompt, signal) : answerer.ids(prompt, signal);
    for await (const piece of pieces) {
      if (typeof piece === 'number') ids.push(piece);
      if (!json) terminal.write(typeof piece === 'number' ? `${ids.length > 1 ? ' ' : ''}${piece}` : piece);
      await setImmediate(); // lets Ctrl-C through
    }
  });
  terminal.out(
    json
      ? JSON.stringify(
          {
            text: tokenizer?.decode(ids, { skipSpecialTokens: true }) ?? null,
            ids,
            prompt_tokens: prompt.length,
          },
          null,
          2,
        )
      : '',
  );
}

/**
 * Reads a line, answers it, and so on, until the input ends. Ctrl-C ends an answer, and between answers the
 * conversation. Without a chat template every line stands for itself.
 */
async function talk(
  answerer: Answerer,
  opening: readonly ChatMessage[],
  { terminal }: Context,
): Promise<void> {
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
      messages.push({
        role: 'assistant',
        content: await say(answerer, messages, terminal.write, answering.signal),
      });
      answering = null;
      terminal.out('');
    }
    reader.prompt();
  }
}

/** Streams an answer; an abort keeps what was said so far. */
async function say(
  answerer: Answerer,
  messages: readonly ChatMessage[],
  write: (text: string) => void,
  signal: AbortSignal,
): Promise<string> {
  let said = '';
  for await (const piece of answerer.text(answerer.promptOf(messages))) {
    write(piece);
    said += piece;
    await setImmediate(); // lets keys through
    if (signal.aborted) break;
  }
  return said;
}
