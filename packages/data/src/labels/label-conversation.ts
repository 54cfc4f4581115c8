import { QdyloraError } from '@qdylora/contract';
import { badData } from '../bad-data.ts';
import {
  answerCharacters,
  variablesOf,
  type Conversation,
  type Span,
} from '../template/answer-characters.ts';
import { templateFor, type ChatTemplate } from '../template/chat-template.ts';
import { CONTENT_PARTS } from '../template/chat-message.ts';
import { withoutParts } from '../template/content-parts.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { maskPrompt, type LabelledTokens, type Piece } from './mask-prompt.ts';

/** Options of `labelConversation`: the template, the tokenizer, and the turns that have a loss. */
export interface ConversationOptions {
  readonly tokenizer: Tokenizer;
  readonly template: ChatTemplate;
  /** True for a loss on assistant turns only. */
  readonly completionOnlyLoss: boolean;
  /** Source of the conversation, for errors. */
  readonly where: string;
  /** Indices of messages whose assistant turns have no loss. Default: none. */
  readonly untrained?: readonly number[];
}

/**
 * Renders a conversation with its template and tokenizes it as one text, without added special tokens (the
 * template writes them). The loss is on every token that holds a byte of an assistant turn; without
 * `completionOnlyLoss`, on all tokens but those of untrained turns.
 *
 * @throws QdyloraError BAD_DATA if the template refuses or rewrites the conversation.
 */
export function labelConversation(
  whole: Conversation,
  { tokenizer, template: plainTemplate, completionOnlyLoss, where, untrained = [] }: ConversationOptions,
): LabelledTokens {
  const template = templateFor(plainTemplate, whole.tools);
  const conversation = fitting(whole, template);
  if (!completionOnlyLoss && untrained.length === 0)
    return maskPrompt([
      {
        ids: tokenizer.encode(
          template.render(conversation.messages, { ...variablesOf(conversation), where }),
        ),
        isAnswer: true,
      },
    ]);
  const { text, spans: all } = answerCharacters(template, conversation, where);
  const spans = turnSpans(all, { conversation, untrained, where, trained: completionOnlyLoss });
  const ids = tokenizer.encode(text);
  const pieces = piecesOf(ids, answerTokens(tokenizer, text, ids, spans));
  return maskPrompt(
    completionOnlyLoss ? pieces : pieces.map((piece) => ({ ids: piece.ids, isAnswer: !piece.isAnswer })),
  );
}

/**
 * The conversation. If rendering it with content parts fails, each message's parts are replaced by their
 * joined text: some templates iterate over parts only in some turns.
 */
export function fitting(conversation: Conversation, template: ChatTemplate): Conversation {
  const { messages } = conversation;
  if (!messages.some((message) => message[CONTENT_PARTS])) return conversation;
  try {
    template.render(messages, variablesOf(conversation));
    return conversation;
  } catch (error) {
    if (!QdyloraError.isInstance(error)) throw error;
    return { ...conversation, messages: messages.map(withoutParts) };
  }
}

interface TurnOptions {
  readonly conversation: Conversation;
  readonly untrained: readonly number[];
  readonly where: string;
  /** True for the turns with loss, false for those without. */
  readonly trained: boolean;
}

/**
 * The spans of the assistant turns with or without loss. Each turn must have its own span, or those without
 * are unknown.
 */
function turnSpans(
  spans: readonly Span[],
  { conversation, untrained, where, trained }: TurnOptions,
): readonly Span[] {
  if (untrained.length === 0) return spans;
  const turns = conversation.messages.flatMap(({ role }, i) => (role === 'assistant' ? [i] : []));
  if (turns.length !== spans.length)
    throw badData(
      where,
      `The template marked ${spans.length} answers in ${turns.length} assistant turns. To leave ` +
        'out those of weight 0, each turn needs one',
      'Remove the weights, or mark whole turns in the template with {% generation %}.',
    );
  return spans.filter((_, i) => untrained.includes(turns[i]) !== trained);
}

function piecesOf(ids: readonly number[], spans: readonly Span[]): Piece[] {
  const pieces: Piece[] = [];
  let at = 0;
  for (const [start, end] of spans) {
    pieces.push(
      { ids: ids.slice(at, Math.max(at, start)), isAnswer: false },
      { ids: ids.slice(Math.max(at, start), end), isAnswer: true },
    );
    at = Math.max(at, start, end);
  }
  return [...pieces, { ids: ids.slice(at), isAnswer: false }];
}

/**
 * Spans of characters → spans of tokens. A token belongs to a span if it holds at least one byte of it: if
 * the newline of a header and the first newline of an answer are one token, the answer cannot exclude it.
 */
export function answerTokens(
  tokenizer: Tokenizer,
  text: string,
  ids: readonly number[],
  spans: readonly Span[],
): Span[] {
  const clean = cleanBoundaries(tokenizer, text, ids, spans.flat());
  if (clean) return spans.map((_, i): Span => [clean[2 * i], clean[2 * i + 1]]);
  return spans.map(([start, end]): Span => {
    const first = boundary(tokenizer, text.slice(0, start), ids);
    if (start === end) return [first.index, first.index];
    const last = boundary(tokenizer, text.slice(0, end), ids);
    return [first.index, last.index + (last.isInside ? 1 : 0)];
  });
}

/**
 * The token indices of `boundaries`, if tokenizing the pieces between them gives the same tokens as the whole
 * text; else null.
 */
function cleanBoundaries(
  tokenizer: Tokenizer,
  text: string,
  ids: readonly number[],
  boundaries: readonly number[],
): number[] | null {
  const found: number[] = [];
  let at = 0;
  let from = 0;
  for (const to of [...boundaries, text.length]) {
    const piece = tokenizer.encode(text.slice(from, to));
    if (piece.some((id, i) => id !== ids[at + i])) return null;
    at += piece.length;
    from = to;
    found.push(at);
  }
  return at === ids.length ? found : null;
}

/**
 * The token that holds the first byte after `prefix`, and whether it also holds bytes of the prefix. If the
 * prefix alone ends in other tokens than inside the whole text, both tails are decoded from the last common
 * token on, until the tail of the whole text covers that of the prefix.
 */
function boundary(
  tokenizer: Tokenizer,
  prefix: string,
  ids: readonly number[],
): { index: number; isInside: boolean } {
  const alone = tokenizer.encode(prefix);
  let common = 0;
  while (common < alone.length && alone[common] === ids[common]) common++;
  if (common === alone.length) return { index: common, isInside: false };
  const from = Math.max(0, common - 1);
  const tail = tokenizer.decode(alone.slice(from));
  for (let end = common + 1; end <= ids.length; end++) {
    const covered = tokenizer.decode(ids.slice(from, end));
    if (covered === tail) return { index: end, isInside: false };
    if (covered.startsWith(tail)) return { index: end - 1, isInside: true };
  }
  return { index: common, isInside: true };
}
