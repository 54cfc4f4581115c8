/** Key of the parts that a message's `content` was joined from, for templates that go through them. */
export const CONTENT_PARTS = Symbol('parts of the content');

/** One turn of a conversation, as a chat template reads it. */
export interface ChatMessage {
  /** `system`, `user`, `assistant`, `tool`, or another role that the template knows. */
  readonly role: string;
  /** Null for a turn without text, such as one with tool calls only. */
  readonly content: string | null;
  /** The parts that `content` was joined from. A template that goes through parts gets them in its place. */
  readonly [CONTENT_PARTS]?: readonly TextPart[];
  /** `name`, `tool_calls`, `tool_call_id`, `reasoning_content` and other keys that a template uses. */
  readonly [key: string]: unknown;
}

/** A part of a content. */
export interface TextPart {
  readonly type: 'text';
  readonly text: string;
}
