import type { Expression, Program } from '../jinja/nodes.ts';
import { CONTENT_PARTS, type ChatMessage } from './chat-message.ts';

/** A message with another text, in parts if its own text is in parts. */
export const withText = (message: ChatMessage, text: string): ChatMessage => ({
  ...message,
  content: text,
  ...(message[CONTENT_PARTS] && { [CONTENT_PARTS]: [{ type: 'text', text }] }),
});

/** A message whose content is one text, as for a template that goes through no parts. */
export const withoutParts = ({ [CONTENT_PARTS]: _, ...message }: ChatMessage): ChatMessage =>
  message as ChatMessage;

/** The end of a message's words: its text, or the last part with one. */
export function lastWords({ content, [CONTENT_PARTS]: parts }: ChatMessage): string {
  const texts = parts?.map(({ text }) => text.trim()) ?? [(content ?? '').trim()];
  return texts.findLast((text) => text !== '') ?? '';
}

/** Gives a template that goes through parts the parts of a content in place of its text. */
export function contentFor(program: () => Program): (message: ChatMessage) => ChatMessage {
  let takesParts: boolean | null = null; // computed for the first message with parts
  return (message) =>
    message[CONTENT_PARTS] && (takesParts ??= readsParts(program()))
      ? { ...message, content: message[CONTENT_PARTS] as unknown as string }
      : message;
}

const FILTERS_OF_LISTS: readonly unknown[] = ['map', 'selectattr', 'rejectattr'];

/**
 * True if a template goes through the parts of a content: `{% for part in message.content %}`, or
 * `message.content | map(attribute='text')`.
 */
function readsParts(part: Program | Expression): boolean {
  const { type, iterable, operand, filter } = part as Readonly<Record<string, unknown>>;
  if (type === 'For' && isContent(iterable)) return true;
  if (type === 'FilterExpression' && FILTERS_OF_LISTS.includes(nameOf(filter)) && isContent(operand))
    return true;
  const inside =
    part instanceof Map ? [...(part as ReadonlyMap<Expression, Expression>)].flat() : Object.values(part);
  return inside.some(
    (inner) => typeof inner === 'object' && inner !== null && readsParts(inner as Expression),
  );
}

/** True for a content, for its slices, selections and filters, and for one with a default. */
function isContent(node: unknown): boolean {
  const { type, value, operand, lhs, left, object, property } = node as Readonly<Record<string, unknown>>;
  switch (type) {
    case 'Identifier':
      return value === 'content';
    case 'MemberExpression': {
      const { type: kind, value: name } = property as Readonly<Record<string, unknown>>;
      return kind === 'SliceExpression' ? isContent(object) : name === 'content';
    }
    case 'FilterExpression':
      return isContent(operand);
    case 'SelectExpression':
      return isContent(lhs);
    case 'BinaryExpression':
      return isContent(left);
    default:
      return false;
  }
}

/** The name of a filter, with arguments or without. */
const nameOf = (filter: unknown): unknown => {
  const { value, callee } = filter as {
    readonly value?: unknown;
    readonly callee?: { readonly value?: unknown };
  };
  return value ?? callee?.value;
};
