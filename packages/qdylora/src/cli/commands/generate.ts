import { setImmediate } from 'node:timers/promises';
import { QdyloraError } from '@qdylora/contract';
import type { ChatMessage } from '@qdylora/data';
import type { Command } from 'commander';
import { mergeExplicit, valuesOfFlags } from '../../config/explicit-values.ts';
import { GENERATE_KEYS } from '../../config/verb-keys.ts';
import { openAnswerer, type Answerer } from '../../recipes/answer.ts';
import { checkModelValues } from '../../recipes/opening/open-model.ts';
import { precisionText } from '../../recipes/opening/weight-precision.ts';
import type { FinishReason } from '../../recipes/text/decode-text.ts';
import type { CommonFlags, Context } from '../context.ts';
import { STOPPING } from '../interrupts.ts';
import { addKeyFlags, explicitFlags, repeatedFlag } from '../key-flags.ts';
import { noteLength, readingText } from '../render/answer-notes.ts';
import { talk } from '../talk.ts';
import type { Terminal } from '../terminal.ts';

const { stop, ...FLAGS } = GENERATE_KEYS;

/** `--stop` may be repeated: a text may hold a comma. */
type GenerateFlags = CommonFlags & { readonly stop?: readonly string[] } & Record<string, unknown>;

export function addGenerateCommand(program: Command, context: Context): void {
  const command = program
    .command('generate')
    .summary('answer a prompt, or chat in the terminal')
    .description(
      'Streams an answer to a prompt, at any rank of an adapter. Without --prompt: a conversation in the ' +
        'terminal.',
    );
  addKeyFlags(command, FLAGS)
    .addOption(repeatedFlag('stop', stop))
    .option('--json', 'Print one JSON document');
  command.action(async (flags: GenerateFlags) => {
    const { terminal } = context;
    const explicit = mergeExplicit(explicitFlags(FLAGS, flags), valuesOfFlags({ stop: flags.stop }));
    const { prompt, promptIds, system } = checkModelValues(GENERATE_KEYS, explicit);
    if (!prompt && !promptIds) assertCanTalk(flags, terminal);
    terminal.status('loading the model …');
    using answerer = await openAnswerer(explicit, { onNotice: terminal.note });
    terminal.status('');
    terminal.note(terminal.paint('dim', precisionText(answerer.precision)));
    const opening: ChatMessage[] = system ? [{ role: 'system', content: system }] : [];
    if (promptIds) return await answerOnce(answerer, promptIds, context, flags);
    if (prompt) {
      const ids = answerer.promptOf([...opening, { role: 'user', content: prompt }]);
      return await answerOnce(answerer, ids, context, flags);
    }
    await talk(answerer, opening, { terminal, input: process.stdin, output: process.stderr });
  });
}

/** @throws QdyloraError BAD_CONFIG where a conversation is not possible */
function assertCanTalk({ json }: GenerateFlags, { canAsk }: Terminal): void {
  if (json)
    throw new QdyloraError('BAD_CONFIG', {
      where: 'json',
      problem: '`--json` needs a prompt: a conversation has no document',
      nextStep: 'Give one: --prompt "…".',
    });
  if (!canAsk)
    throw new QdyloraError('BAD_CONFIG', {
      where: 'prompt',
      problem: 'There is no prompt, and standard input is not a terminal to type one',
      nextStep: 'Give one: --prompt "…".',
    });
}

async function answerOnce(
  answerer: Answerer,
  prompt: readonly number[],
  { terminal, interruptible }: Context,
  { json }: CommonFlags,
): Promise<void> {
  const ids: number[] = [];
  let text = '';
  let finish: FinishReason = 'stop';
  terminal.status(readingText(prompt.length));
  await setImmediate(); // reading blocks the thread
  await interruptible(async (signal) => {
    for await (const event of answerer.answer(prompt, signal)) {
      if (event.type === 'end') finish = event.reason;
      if (event.type !== 'text') continue;
      const newIds = event.tokens.map(({ id }) => id);
      text += event.text;
      if (json) terminal.status(`${ids.length + newIds.length} tokens …`);
      else
        terminal.write(answerer.tokenizer ? event.text : `${ids.length > 0 ? ' ' : ''}${newIds.join(' ')}`);
      ids.push(...newIds);
    }
  }, STOPPING);
  if (!json) terminal.out('');
  noteLength(answerer, prompt, { finish, terminal });
  if (!json) return;
  const { precision, tokenizer } = answerer;
  const document = {
    text: tokenizer ? text : null,
    ids,
    finish_reason: finish,
    prompt_tokens: prompt.length,
    precision,
  };
  terminal.out(JSON.stringify(document, null, 2));
}
