/** Key of the parts that a message's `content` was joined from, for templates that go through them. */
export const CONTENT_PARTS = Symbol('parts of the content');

export interface ChatMessage {
  readonly role: string;
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
