import { badData } from '../bad-data.ts';
import { commonPrefix } from '../common-prefix.ts';
import { CONTENT_PARTS, type ChatMessage } from './chat-message.ts';
import type { ChatTemplate, RenderOptions } from './chat-template.ts';
import { lastWords, withText } from './content-parts.ts';

/** The messages of one row of chat data, and the other inputs of the template. */
export interface Conversation {
  readonly messages: readonly ChatMessage[];
  /** The tools that the assistant may call, as JSON Schema or in another form that the template reads. */
  readonly tools?: readonly unknown[];
  /** Variables of the template for this conversation, such as `enable_thinking`. */
  readonly variables?: Readonly<Record<string, unknown>>;
}

/** What a template gets beside the messages. */
export const variablesOf = ({ tools, variables }: Conversation): RenderOptions => ({ tools, variables });

/** `[start, end)` */
export type Span = readonly [number, number];

/**
 * The spans that assistant turns add to a rendered conversation, in UTF-16 units: the answer and the text
 * that closes the turn, without the turn's header.
 * Taken from the template's `{% generation %}` marks if it has any; else by rendering the conversation up to
 * each turn, with and without it. A turn of which the template writes nothing has an empty span.
 *
 * @throws QdyloraError BAD_DATA if the template rewrites earlier turns so much that a turn cannot be found.
 */
export function answerCharacters(
  template: ChatTemplate,
  conversation: Conversation,
  where: string,
): { text: string; spans: readonly Span[] } {
  const { messages } = conversation;
  const given = { ...variablesOf(conversation), where };
  if (template.marksAnswers) return template.renderMarked(messages, given);
  const render = (count: number, options: RenderOptions = {}): string =>
    count === 0 ? '' : template.render(messages.slice(0, count), { ...options, ...given });
  const text = render(messages.length);
  const spans: Span[] = [];
  messages.forEach((message, turn) => {
    if (message.role !== 'assistant') return;
    const start =
      turn === 0
        ? firstStart(text, message, (only, options) => template.render([only], { ...options, ...given }))
        : turnStart(text, render, turn);
    const upToTurn = turn + 1 === messages.length ? text : render(turn + 1);
    const end =
      start === null ? null : turnEnd(text, withoutEnd(upToTurn, text, template), { message, start });
    if (start === null || end === null)
      throw rewritten(where, { turn, isStartLost: start === null, messages });
    spans.push([Math.min(start, end), end]);
  });
  return { text, spans };
}

/**
 * Start of a turn: the end of its generation prompt. If that prompt opens with words (`<think>`) that the
 * written turn lacks: the position where the two differ.
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
 * Start of an answer in a first turn, which has no earlier turns to render.
 * If the text contains the header that a question's generation prompt adds: the end of that header.
 * Otherwise: the end of the text before the answer. Text that the template adds by itself (a default system
 * prompt) belongs to the prompt.
 */
function firstStart(
  text: string,
  message: ChatMessage,
  render: (message: ChatMessage, options?: RenderOptions) => string,
): number | null {
  const other = render(withText(message, WORDS));
  const place = other.indexOf(WORDS);
  const words = place >= 0 && commonPrefix(text, other) >= place ? place : null;
  const { content, [CONTENT_PARTS]: parts } = message;
  const question = withText({ role: 'user', content, ...(parts && { [CONTENT_PARTS]: parts }) }, WORDS);
  const rendered = render(question);
  const prompt = render(question, { addGenerationPrompt: true });
  const header = prompt.startsWith(rendered) ? prompt.slice(rendered.length) : '';
  const at = header.trim() === '' ? -1 : text.slice(0, words ?? undefined).indexOf(header);
  return at < 0 ? words : at + header.length;
}

/** A conversation without the end token, if the template writes that once, behind the last turn (Phi-3). */
function withoutEnd(upToTurn: string, text: string, { endToken = '' }: ChatTemplate): string {
  const isOnce = endToken !== '' && upToTurn.endsWith(endToken) && !text.startsWith(upToTurn);
  return isOnce ? upToTurn.slice(0, -endToken.length) : upToTurn;
}

/** A turn whose end is not known yet. */
interface OpenTurn {
  readonly message: ChatMessage;
  readonly start: number;
}

/**
 * End of a turn. If the template writes a last turn differently from an earlier one (Qwen 3 adds empty
 * thoughts): the end of its words, or of its tool calls, and of the text that closes them.
 *
 * @param upToTurn the conversation that ends with this turn, rendered
 */
function turnEnd(text: string, upToTurn: string, turn: OpenTurn): number | null {
  const { message, start } = turn;
  if (text.startsWith(upToTurn)) return upToTurn.length;
  const words = lastWords(message);
  if (words === '') return callsEnd(text, upToTurn, turn);
  const at = upToTurn.lastIndexOf(words);
  if (at < 0) return null;
  const closed = upToTurn.slice(at);
  const found = text.indexOf(closed, start);
  return found < 0 ? null : found + closed.length;
}

/** The end of a turn without words: of its longest end that is at `start` and names all its calls. */
function callsEnd(text: string, upToTurn: string, { message, start }: OpenTurn): number | null {
  const names = namesOfCalls(message);
  if (names === null) return null;
  for (let from = start; from < upToTurn.length; from++) {
    const closed = upToTurn.slice(from);
    if (text.startsWith(closed, start))
      return names.every((name) => closed.includes(name)) ? start + closed.length : null;
  }
  return null;
}

/** The names of a message's tool calls; null if it has none, or one without a name. */
function namesOfCalls({ tool_calls: calls }: ChatMessage): string[] | null {
  if (!Array.isArray(calls) || calls.length === 0) return null;
  const names = calls.map((call: unknown) => entryOf(entryOf(call, 'function') ?? call, 'name'));
  return names.every((name) => typeof name === 'string' && name !== '') ? (names as string[]) : null;
}

/** An entry of an object, or of a Map of exact JSON. */
const entryOf = (value: unknown, key: string): unknown =>
  value instanceof Map
    ? (value as ReadonlyMap<string, unknown>).get(key)
    : (value as Readonly<Record<string, unknown>> | null | undefined)?.[key];

interface LostTurn {
  readonly turn: number;
  /** The messages before the turn are not found in the text; else its end is not. */
  readonly isStartLost: boolean;
  readonly messages: readonly ChatMessage[];
}

function rewritten(where: string, { turn, isStartLost, messages }: LostTurn): Error {
  const isExchange = messages.filter(({ role }) => role === 'assistant').length === 1;
  const rewrites =
    isExchange && isStartLost
      ? 'writes the messages before an answer differently once the answer follows'
      : 'rewrites earlier turns';
  const other = adviceFor(messages, { isExchange, isStartLost });
  return badData(
    where,
    `The chat template ${rewrites}, so what messages[${turn}] added cannot be found`,
    `Mark the assistant's words in the template with {% generation %}, ${other}, or set ` +
      'completion_only_loss: false.',
  );
}

function adviceFor(
  messages: readonly ChatMessage[],
  { isExchange, isStartLost }: { readonly isExchange: boolean; readonly isStartLost: boolean },
): string {
  if (!isExchange) return 'split the row into single exchanges';
  if (!isStartLost) return 'end the row with its answer';
  return messages.some(({ role }) => role === 'system')
    ? 'put the text of the system message into the first user message'
    : 'use another template';
}
