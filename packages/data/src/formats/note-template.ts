import { fitting } from '../labels/label-conversation.ts';
import { templateFor, type ChatTemplate } from '../template/chat-template.ts';
import { variablesOf, type Conversation } from '../template/answer-characters.ts';
import type { ChatMessage } from '../template/chat-message.ts';

/** What a chat template does with rows, for the notes of the report. It fills while rows are read. */
export interface TemplateNotes {
  /** Names of row content (`tools`, `tool_calls`) that the template never writes. */
  readonly unshown: Set<string>;
  /** Place of the first row with a tool call whose arguments are JSON text, which the template quotes. */
  quotedArguments: string | null;
}

export const noNotesYet = (): TemplateNotes => ({ unshown: new Set(), quotedArguments: null });

/** Notes what the template does with the tools and the tool calls of a conversation that it can render. */
export function noteTemplate(
  conversation: Conversation,
  template: ChatTemplate,
  where: string,
  notes: TemplateNotes,
): void {
  const { messages, tools } = conversation;
  const chosen = templateFor(template, tools);
  const calls = messages.flatMap(callsOf);
  if (tools && !chosen.reads('tools')) notes.unshown.add('tools');
  if (calls.length > 0 && !chosen.source.includes('tool_calls')) notes.unshown.add('tool_calls');
  if (notes.quotedArguments !== null) return;
  const texts = calls.map(argumentsOf).filter(isJsonObject);
  if (texts.length === 0) return;
  const rendered = chosen.render(fitting(conversation, chosen).messages, variablesOf(conversation));
  if (texts.some((text) => rendered.includes(JSON.stringify(text)))) notes.quotedArguments = where;
}

const callsOf = ({ tool_calls: calls }: ChatMessage): readonly unknown[] =>
  Array.isArray(calls) ? calls : [];

/** Calls with nested values are maps, as `parseExactJson` gives them. */
const fieldOf = (value: unknown, key: string): unknown => (value instanceof Map ? value.get(key) : undefined);

const argumentsOf = (call: unknown): unknown => fieldOf(fieldOf(call, 'function') ?? call, 'arguments');

function isJsonObject(text: unknown): text is string {
  if (typeof text !== 'string' || !text.trimStart().startsWith('{')) return false;
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
