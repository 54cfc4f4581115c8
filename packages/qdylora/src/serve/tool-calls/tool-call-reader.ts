import { longestBeginning } from '../../recipes/text/stop-finder.ts';
import { parseCalls, type ToolCall } from './parse-calls.ts';
import type { ToolCallFormat } from './tool-call-format.ts';

/** What is certain of an answer: its next text, and calls. */
export interface AnswerPiece {
  readonly text: string;
  readonly calls: readonly ToolCall[];
}

/** Finds calls of tools in an answer that comes in pieces. What is no call stays text, as it is. */
export interface ToolCallReader {
  push(text: string): AnswerPiece;
  /** What was held back. */
  finish(): AnswerPiece;
}

/** @param names of the tools that may be called */
export function createToolCallReader(format: ToolCallFormat, names: ReadonlySet<string>): ToolCallReader {
  return format === 'tagged' ? taggedReader(names) : wholeReader(format, names);
}

const OPEN = '<tool_call>';
const CLOSE = '</tool_call>';

/** Calls in tags. White space before a call, and behind the last one, is not part of the text. */
function taggedReader(names: ReadonlySet<string>): ToolCallReader {
  let held = '';
  let hasCalls = false;
  /** Takes the text before the next tag that may be a call; `held` begins with the white space before it. */
  const takeText = (end: number): string => {
    const text = held.slice(0, end).trimEnd();
    held = held.slice(text.length);
    return text;
  };
  return {
    push(piece) {
      held += piece;
      let text = '';
      const calls: ToolCall[] = [];
      for (;;) {
        const open = held.indexOf(OPEN);
        const close = open < 0 ? -1 : held.indexOf(CLOSE, open);
        if (close < 0) {
          text += takeText(open < 0 ? held.length - longestBeginning(held, [OPEN]) : open);
          return { text, calls };
        }
        const found = parseCalls(held.slice(open + OPEN.length, close), names);
        const end = close + CLOSE.length;
        text += found ? held.slice(0, open).trimEnd() : held.slice(0, end);
        calls.push(...(found ?? []));
        hasCalls ||= found !== null;
        held = held.slice(end);
      }
    },
    finish: () => ({ text: hasCalls && held.trim() === '' ? '' : held, calls: [] }),
  };
}

/** How an answer that is nothing but calls may begin, and what lies between its calls. */
const WHOLE = {
  list: { marker: '[TOOL_CALLS]', first: '[', between: null },
  object: { marker: '<|python_tag|>', first: '{', between: /;\s*(?=\{)/ },
} as const;

/** Calls that are the whole answer. Text that begins otherwise is not held back. */
function wholeReader(format: keyof typeof WHOLE, names: ReadonlySet<string>): ToolCallReader {
  const { marker, first, between } = WHOLE[format];
  let held = '';
  let isText = false;
  const mayBeCalls = (text: string): boolean =>
    text === '' || text.startsWith(first) || text.startsWith(marker) || marker.startsWith(text);
  return {
    push(piece) {
      held += piece;
      isText ||= !mayBeCalls(held.trimStart());
      const text = isText ? held : '';
      held = isText ? '' : held;
      return { text, calls: [] };
    },
    finish() {
      const whole = held.trim();
      const body = whole.startsWith(marker) ? whole.slice(marker.length) : whole;
      const one = parseCalls(body, names); // first: a text in it may look like what lies between calls
      const calls = one || !between ? [one] : body.split(between).map((part) => parseCalls(part, names));
      return calls.every((found) => found !== null)
        ? { text: '', calls: calls.flat() }
        : { text: held, calls: [] };
    },
  };
}
