import { endOfValue } from './json-parts.ts';
import { callOf, parseCalls, type ToolCall } from './parse-calls.ts';

/** Calls that a text begins with, and the text behind them: '' for white space and semicolons. */
export interface FoundCalls {
  readonly calls: readonly ToolCall[];
  readonly rest: string;
}

/** The next calls of a text, and where they end. */
interface NextCalls {
  readonly calls: readonly ToolCall[];
  readonly end: number;
}

/** What may lie between calls, and behind the last one. */
const BETWEEN = /[\s;]*/y;

/** Calls that are objects of JSON, or lists of them, each behind `marker` or without it. */
export function findJsonCalls(text: string, marker: string, names: ReadonlySet<string>): FoundCalls {
  return findCalls(text, (from) => {
    const start = text.startsWith(marker, from) ? skipBetween(text, from + marker.length) : from;
    const end = endOfValue(text, start);
    const calls = end < 0 ? null : parseCalls(text.slice(start, end), names);
    return calls && { calls, end };
  });
}

/** The part of a call before its arguments. An id in it is not used: each call gets a new one. */
const HEAD = /\[TOOL_CALLS\]\s*([\w-]+)\s*(?:\[CALL_ID\][^[\]{}]*)?\[ARGS\]\s*/y;

/** Calls in the form `[TOOL_CALLS]name[ARGS]{…}` or `[TOOL_CALLS]name[CALL_ID]id[ARGS]{…}`. */
export function findNamedCalls(text: string, names: ReadonlySet<string>): FoundCalls {
  return findCalls(text, (from) => {
    const head = matchAt(HEAD, text, from);
    if (!head) return null;
    const start = from + head[0].length;
    const end = endOfValue(text, start);
    const call = end < 0 ? null : callOf(head[1], text.slice(start, end), names);
    return call && { calls: [call], end };
  });
}

/** @param readNext null where the text has no call at a place */
function findCalls(text: string, readNext: (from: number) => NextCalls | null): FoundCalls {
  const calls: ToolCall[] = [];
  let end = 0;
  for (;;) {
    const from = skipBetween(text, end);
    const next = readNext(from);
    if (!next) return { calls, rest: from === text.length ? '' : text.slice(end) };
    calls.push(...next.calls);
    end = next.end;
  }
}

/** The index after white space and semicolons. */
const skipBetween = (text: string, from: number): number => from + matchAt(BETWEEN, text, from)![0].length;

/** @param pattern a sticky one */
function matchAt(pattern: RegExp, text: string, from: number): RegExpExecArray | null {
  pattern.lastIndex = from;
  return pattern.exec(text);
}
