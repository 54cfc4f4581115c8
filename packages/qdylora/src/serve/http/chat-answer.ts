import type { FinishReason, TextEvent, WrittenToken } from '../../recipes/text/decode-text.ts';
import type { ToolCall } from '../tool-calls/parse-calls.ts';
import type { AnswerPiece, ToolCallReader } from '../tool-calls/tool-call-reader.ts';

/** Why an answer ended: as a text, or to let the client call tools. */
export type ChatFinish = FinishReason | 'tool_calls';

/** A piece of an answer in a conversation. */
export type ChatEvent =
  | { readonly type: 'text'; readonly text: string; readonly tokens: readonly WrittenToken[] }
  | { readonly type: 'call'; readonly id: string; readonly call: ToolCall }
  /** `tokens`: all that the model wrote. */
  | { readonly type: 'end'; readonly reason: ChatFinish; readonly tokens: number };

/** Templates of Mistral take ids of nine letters and digits only. */
const ID_LENGTH = 9;

export interface ChatAnswerOptions {
  /** Null: the answer is text. */
  readonly reader: ToolCallReader | null;
  /** An unused id, of more than 9 letters and digits. */
  readonly newId: () => string;
}

/**
 * The text and the calls of tools of an answer. Tokens come with the first text that is certain after them,
 * at the latest before the end.
 */
export async function* readChatAnswer(
  events: AsyncIterable<TextEvent>,
  { reader, newId }: ChatAnswerOptions,
): AsyncGenerator<ChatEvent> {
  let tokens: WrittenToken[] = [];
  let hasCalls = false;
  function* told({ text, calls }: AnswerPiece, isLast = false): Generator<ChatEvent> {
    if (text !== '' || (isLast && tokens.length > 0)) {
      yield { type: 'text', text, tokens };
      tokens = [];
    }
    hasCalls ||= calls.length > 0;
    for (const call of calls) yield { type: 'call', id: newId().slice(0, ID_LENGTH), call };
  }
  for await (const event of events) {
    if (event.type === 'text') {
      tokens.push(...event.tokens);
      if (!reader) yield { type: 'text', text: event.text, tokens: tokens.splice(0) };
      else yield* told(reader.push(event.text));
    } else if (event.type === 'end') {
      if (reader) yield* told(reader.finish(), true);
      const reason = hasCalls && event.reason === 'stop' ? 'tool_calls' : event.reason;
      yield { type: 'end', reason, tokens: event.tokens };
    }
  }
}
