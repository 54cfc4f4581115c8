import { badData } from '../bad-data.ts';
import { commonPrefix } from '../common-prefix.ts';
import type { ChatMessage, ChatTemplate, RenderOptions } from './chat-template.ts';

export interface Conversation {
  readonly messages: readonly ChatMessage[];
  readonly tools?: readonly unknown[];
}

/** `[start, end)` */
export type Span = readonly [number, number];

/**
 * What every assistant turn added to a rendered conversation, in UTF-16 units of it: the words and what the
 * template closes them with, not the turn's header.
 * Taken from `{% generation %}` marks where the template has them; else by rendering the conversation up to
 * each turn, with and without it.
 *
 * @throws QdyloraError BAD_DATA where the template rewrites earlier turns so much that a turn cannot be
 * found.
 */
export function answerCharacters(
  template: ChatTemplate,
  conversation: Conversation,
  where: string,
): { text: string; spans: readonly Span[] } {
  const { messages, tools } = conversation;
  if (template.marksAnswers) return template.renderMarked(messages, { tools, where });
  const render = (count: number, options: RenderOptions = {}): string =>
    count === 0 ? '' : template.render(messages.slice(0, count), { ...options, tools, where });
  const text = render(messages.length);
  const spans: Span[] = [];
  messages.forEach((message, turn) => {
    if (message.role !== 'assistant') return;
    const start =
      turn === 0
        ? firstStart(text, message, (only, options) => template.render([only], { ...options, tools, where }))
        : turnStart(text, render, turn);
    const end =
      start === null
        ? null
        : turnEnd(text, turn + 1 === messages.length ? text : render(turn + 1), start, message);
    if (start === null || end === null) throw rewritten(where, turn);
    spans.push([start, end]);
  });
  return { text, spans };
}

/**
 * Where the text leaves the prompt for the turn. A generation prompt may open with words (`<think>`) that the
 * turn as written lacks: then where they part.
 */
function turnStart(
  text: string,
  render: (count: number, options?: RenderOptions) => string,
  turn: number,
): number | null {
  const prompt = render(turn, { addGenerationPrompt: true });
  const start = commonPrefix(text, prompt);
  return start === prompt.length || start >= render(turn).length ? start : null;
}

/** A noncharacter: it has no meaning in any text. */
const WORDS = '\ufdd0';

/**
 * Where the words of a first turn begin, before which nothing was said that could be rendered alone: behind
 * the header that a question's generation prompt adds, where the text has it; else behind what stands before
 * any words. What the template says of its own accord (a system prompt by default) is the prompt's.
 */
function firstStart(
  text: string,
  message: ChatMessage,
  render: (message: ChatMessage, options?: RenderOptions) => string,
): number | null {
  const other = render({ ...message, content: WORDS });
  const place = other.indexOf(WORDS);
  const words = place >= 0 && commonPrefix(text, other) >= place ? place : null;
  const question = { role: 'user', content: WORDS };
  const rendered = render(question);
  const prompt = render(question, { addGenerationPrompt: true });
  const header = prompt.startsWith(rendered) ? prompt.slice(rendered.length) : '';
  const at = header.trim() === '' ? -1 : text.slice(0, words ?? undefined).indexOf(header);
  return at < 0 ? words : at + header.length;
}

/**
 * Where the turn ends. If the template writes a last turn otherwise than an earlier one (Qwen 3 adds empty
 * thoughts): behind its words and what closes them.
 */
function turnEnd(text: string, upToTurn: string, start: number, message: ChatMessage): number | null {
  if (text.startsWith(upToTurn)) return upToTurn.length;
  const words = (message.content ?? '').trim();
  const at = upToTurn.lastIndexOf(words);
  if (words === '' || at < 0) return null;
  const closed = words + upToTurn.slice(at + words.length);
  const found = text.indexOf(closed, start);
  return found < 0 ? null : found + closed.length;
}

const rewritten = (where: string, turn: number): Error =>
  badData(
    where,
    `The chat template rewrites earlier turns, so what messages[${turn}] added cannot be ` + 'found',
    "Mark the assistant's words in the template with {% generation %}, split the row into single " +
      'exchanges, or set completion_only_loss: false.',
  );
