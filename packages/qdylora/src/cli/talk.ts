import { createInterface } from 'node:readline/promises';
import { setImmediate } from 'node:timers/promises';
import { QdyloraError } from '@qdylora/contract';
import type { ChatMessage } from '@qdylora/data';
import type { Answerer } from '../recipes/answer.ts';
import type { FinishReason } from '../recipes/text/decode-text.ts';
import { noteLength, readingText } from './render/answer-notes.ts';
import type { Terminal } from './terminal.ts';

/** Where a conversation takes place. */
export interface TalkPlace {
  readonly terminal: Terminal;
  /** Lines are typed here. */
  readonly input: NodeJS.ReadableStream;
  /** Shows the line that is being typed. */
  readonly output: NodeJS.WritableStream;
}

/**
 * Answers line after line until the input ends. Ctrl-C ends an answer, or the conversation between two
 * answers. Without a chat template each line is a prompt by itself. A conversation that leaves no room for an
 * answer ends with a note.
 */
export async function talk(
  answerer: Answerer,
  opening: readonly ChatMessage[],
  { terminal, input, output }: TalkPlace,
): Promise<void> {
  const reader = createInterface({ input, output });
  const messages: ChatMessage[] = [...opening];
  let answering: AbortController | null = null;
  let isOpen = true;
  reader.on('close', () => {
    isOpen = false; // Ctrl-D, also during an answer
  });
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
      const { signal } = answering;
      try {
        const answer = await streamAnswer(answerer, messages, { terminal, signal });
        messages.push({ role: 'assistant', content: answer });
      } catch (error) {
        const hasEarlierTurns = messages.length > opening.length + 1;
        if (!hasEarlierTurns || !hasNoRoom(error)) throw error;
        terminal.status('');
        const positions = String(error.details.limit);
        terminal.note(`The conversation fills the ${positions} positions of the model. Start another one.`);
        return;
      }
      answering = null;
      terminal.out('');
    }
    if (isOpen) reader.prompt();
  }
}

/** Whether an answer was refused because the prompt leaves it too few positions. */
const hasNoRoom = (error: unknown): error is QdyloraError =>
  QdyloraError.isInstance(error) &&
  error.code === 'BAD_CONFIG' &&
  (error.where === 'prompt' || error.where === 'max_new_tokens');

/** Streams an answer and returns its text; after an abort, the text so far. */
async function streamAnswer(
  answerer: Answerer,
  messages: readonly ChatMessage[],
  { terminal, signal }: { readonly terminal: Terminal; readonly signal: AbortSignal },
): Promise<string> {
  const prompt = answerer.promptOf(messages);
  let answer = '';
  let finish: FinishReason = 'stop';
  terminal.status(readingText(prompt.length));
  await setImmediate(); // reading blocks the thread
  try {
    for await (const event of answerer.answer(prompt, signal)) {
      if (event.type === 'end') finish = event.reason;
      if (event.type !== 'text') continue;
      terminal.write(event.text);
      answer += event.text;
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
  if (finish === 'length') terminal.out('');
  noteLength(answerer, prompt, { finish, terminal });
  return answer;
}
