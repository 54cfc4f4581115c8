import { longestBeginning } from '../../recipes/text/stop-finder.ts';
import { findJsonCalls, findNamedCalls, type FoundCalls } from './find-calls.ts';
import { parseCalls, type ToolCall } from './parse-calls.ts';
import { CALL_MARKERS, type ToolCallFormat } from './tool-call-format.ts';

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
  return format === 'tagged' ? taggedReader(names) : markedReader(format, names);
}

const [OPEN, CLOSE] = CALL_MARKERS.tagged;

/**
 * Calls in tags; at the end of the answer one without its closing tag too. White space before a call, and
 * behind the last one, is not part of the text.
 */
function taggedReader(names: ReadonlySet<string>): ToolCallReader {
  let pendingText = '';
  let hasCalls = false;
  /** Takes the text before the next tag that may be a call. The white space before the tag stays pending. */
  const takeText = (end: number): string => {
    const text = pendingText.slice(0, end).trimEnd();
    pendingText = pendingText.slice(text.length);
    return text;
  };
  return {
    push(piece) {
      pendingText += piece;
      let text = '';
      const calls: ToolCall[] = [];
      for (;;) {
        const open = pendingText.indexOf(OPEN);
        const close = open < 0 ? -1 : pendingText.indexOf(CLOSE, open);
        if (close < 0) {
          text += takeText(open < 0 ? pendingText.length - longestBeginning(pendingText, [OPEN]) : open);
          return { text, calls };
        }
        const found = parseCalls(pendingText.slice(open + OPEN.length, close), names);
        const end = close + CLOSE.length;
        text += found ? pendingText.slice(0, open).trimEnd() : pendingText.slice(0, end);
        calls.push(...(found ?? []));
        hasCalls ||= found !== null;
        pendingText = pendingText.slice(end);
      }
    },
    finish() {
      const open = pendingText.indexOf(OPEN);
      const found = open < 0 ? null : parseCalls(pendingText.slice(open + OPEN.length), names);
      if (found) return { text: '', calls: found };
      return { text: hasCalls && pendingText.trim() === '' ? '' : pendingText, calls: [] };
    },
  };
}

/** What calls may begin with where the whole answer is calls; elsewhere they begin at the marker. */
const FIRST = { list: '[', named: CALL_MARKERS.named[0], object: '{' } as const;

/**
 * Calls at the end of an answer, which are certain only then. Without a marker they are the whole answer.
 * White space before them is not part of the text.
 */
function markedReader(format: keyof typeof FIRST, names: ReadonlySet<string>): ToolCallReader {
  const [marker] = CALL_MARKERS[format];
  const first = FIRST[format];
  const find = (text: string): FoundCalls =>
    format === 'named' ? findNamedCalls(text, names) : findJsonCalls(text, marker, names);
  let pendingText = '';
  let hasText = false;
  return {
    push(piece) {
      pendingText += piece;
      if (!hasText && pendingText.trimStart().startsWith(first)) return { text: '', calls: [] };
      const open = pendingText.indexOf(marker);
      const end = open < 0 ? pendingText.length - longestBeginning(pendingText, [marker]) : open;
      const text = pendingText.slice(0, end).trimEnd();
      pendingText = pendingText.slice(text.length);
      hasText ||= text !== '';
      return { text, calls: [] };
    },
    finish() {
      const whole = find(pendingText);
      if (whole.calls.length > 0 && whole.rest === '') return { text: '', calls: whole.calls };
      const open = pendingText.indexOf(marker);
      const { calls, rest } = find(open < 0 ? '' : pendingText.slice(open));
      const text = calls.length > 0 ? pendingText.slice(0, open).trimEnd() + rest : pendingText;
      return { text, calls };
    },
  };
}
