import { nearestName } from '@qdylora/contract';
import { badData, kindOf } from '../bad-data.ts';
import { CONTENT_PARTS, type ChatMessage, type TextPart } from '../template/chat-message.ts';
import { labelMessages } from './label-messages.ts';
import type { Row, RowFormat } from './row-format.ts';

/**
 * Conversations, formatted with the tokenizer's chat template: `{"messages": [{"role": "user", "content":
 * "…"}, {"role": "assistant", "content": "…"}]}`. Other keys of a message are for the template.
 */
export const messagesFormat = {
  name: 'messages',
  required: ['messages'],
  optional: ['tools'],
  readsVariables: () => true,
  label: (row, settings) => labelMessages(readMessages(row, 'messages'), row, settings),
} as const satisfies RowFormat;

/**
 * Reads the messages under a key. @throws QdyloraError BAD_DATA if there are none or if they are not
 * messages.
 */
export function readMessages(row: Row, key: string): ChatMessage[] {
  const messages = row.value[key];
  if (!Array.isArray(messages) || messages.length === 0)
    throw badData(
      row.where,
      `"${key}" must be a list of at least one message (got ` +
        `${Array.isArray(messages) ? 'an empty one' : kindOf(messages)})`,
      'Correct or delete this line.',
    );
  const read = messages.map((message: unknown, i) => readMessage(message, `${key}[${i}]`, row.where));
  return read.some(hasParts)
    ? withExactParts(read, row.exact(key) as readonly ReadonlyMap<string, unknown>[])
    : read;
}

function readMessage(message: unknown, name: string, where: string): ChatMessage {
  if (typeof message !== 'object' || message === null)
    throw badData(
      where,
      `${name} must be an object (got ${kindOf(message)})`,
      'Correct or delete this line.',
    );
  const { role, content } = message as { role?: unknown; content?: unknown };
  if (typeof role !== 'string')
    throw badData(
      where,
      `${name}.role must be a string (got ${kindOf(role)})`,
      'Correct or delete this line. Rows with "from" and "value" need the key "conversations".',
    );
  assertKnownRole(role, name, where);
  return {
    ...message,
    role,
    content: readContent(content, `${name}.content`, where),
    ...(Array.isArray(content) && { [CONTENT_PARTS]: content as readonly TextPart[] }),
  };
}

/** Roles of common chat templates. A template may have others, so only misspelled ones are refused. */
const ROLES = ['system', 'developer', 'user', 'assistant', 'tool', 'function'];
/** Roles of rows that have `conversations`; no answer of theirs would be trained. */
const FOREIGN_ROLES = ['human', 'gpt'];

/** @throws QdyloraError BAD_DATA for a role that is none of a chat template */
function assertKnownRole(role: string, name: string, where: string): void {
  if (ROLES.includes(role)) return;
  const meant = nearestName(role, ROLES);
  if (meant === null && !FOREIGN_ROLES.includes(role)) return;
  throw badData(
    where,
    `${name}.role is ${JSON.stringify(role)}, but answers are those of the role "assistant"`,
    meant
      ? `Did you mean ${JSON.stringify(meant)}?`
      : 'Use the roles "user" and "assistant", or "conversations" with "from" and "value" alone.',
  );
}

const isPart = (value: unknown): boolean => typeof value === 'object' && value !== null;

const hasParts = (message: ChatMessage): boolean => Object.values(message).some(isPart);

/** Keeps the spelling of numbers and the order of keys in tool calls. */
const withExactParts = (
  messages: readonly ChatMessage[],
  exact: readonly ReadonlyMap<string, unknown>[],
): ChatMessage[] =>
  messages.map((message, i) => ({
    ...message,
    ...Object.fromEntries(
      Object.entries(message)
        .filter(([, value]) => isPart(value))
        .map(([key]) => [key, exact[i].get(key)]),
    ),
  }));

/** Reads `content`: a string, null (a turn of tool calls), or a list of text parts, which are joined. */
function readContent(content: unknown, name: string, where: string): string | null {
  if (typeof content === 'string') return content;
  if (content === null || content === undefined) return null;
  const parts = Array.isArray(content) ? (content as { type?: unknown; text?: unknown }[]) : [];
  if (parts.length > 0 && parts.every((part) => part?.type === 'text' && typeof part.text === 'string'))
    return parts.map((part) => part.text as string).join('');
  throw badData(
    where,
    `${name} must be text (got ${Array.isArray(content) ? 'parts that are not text' : kindOf(content)})`,
    'Only text is trained on here: delete this line, or its images.',
  );
}
