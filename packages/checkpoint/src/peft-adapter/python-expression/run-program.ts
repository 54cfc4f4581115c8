import type { Program } from './program.ts';

/** What a match found. */
export interface Match {
  /** Text of the named group; null if it took no part. */
  readonly group: string | null;
}

export interface RunOptions {
  /** Where the match begins. Default: at the beginning of the text. */
  readonly from?: number;
  /** Where the match must end; by default anywhere. */
  readonly to?: number;
}

/** A place in the program, and where its named group began and ended. */
interface Thread {
  readonly place: number;
  readonly start: number | null;
  readonly end: number | null;
}

/**
 * Matches text with a program: the first match in the order of a backtracking matcher, or null.
 *
 * All ways to match advance together, one character at a time, and no two of them stand at one place of the
 * program. So the time is at most characters × instructions, whatever the expression (R. Pike's virtual
 * machine; R. Cox, "Regular Expression Matching: the Virtual Machine Approach", 2009).
 */
export function runProgram(
  program: Program,
  text: readonly string[],
  { from = 0, to }: RunOptions = {},
): Match | null {
  let match: Thread | null = null;
  let threads = threadsAt(program, text, from, [{ place: 0, start: null, end: null }]);
  for (let at = from; ; at++) {
    const advanced: Thread[] = [];
    for (const thread of threads) {
      const instruction = program[thread.place];
      if (instruction === undefined) {
        if (to !== undefined && at !== to) continue;
        match = thread;
        break; // all later threads are less preferred
      }
      if (instruction.op === 'character' && at < text.length && instruction.matches(text[at]!))
        advanced.push({ ...thread, place: thread.place + 1 });
    }
    if (advanced.length === 0 || at === to) break;
    threads = threadsAt(program, text, at + 1, advanced);
  }
  if (match === null) return null;
  const { start, end } = match;
  return { group: start === null || end === null ? null : text.slice(start, end).join('') };
}

/** Follows every instruction that reads no character. The order is that of preference. */
function threadsAt(
  program: Program,
  text: readonly string[],
  at: number,
  entries: readonly Thread[],
): Thread[] {
  const threads: Thread[] = [];
  const visited = new Set<number>();
  const pending = entries.toReversed();
  while (pending.length > 0) {
    const thread = pending.pop()!;
    const { place } = thread;
    if (visited.has(place)) continue;
    visited.add(place);
    const instruction = program[place];
    if (instruction === undefined || instruction.op === 'character') threads.push(thread);
    else if (instruction.op === 'jump') pending.push({ ...thread, place: place + instruction.by });
    else if (instruction.op === 'split')
      pending.push(
        { ...thread, place: place + instruction.second },
        { ...thread, place: place + instruction.first },
      );
    else if (instruction.op === 'mark') pending.push({ ...thread, place: place + 1, [instruction.edge]: at });
    else if (instruction.holds(text, at)) pending.push({ ...thread, place: place + 1 });
  }
  return threads;
}
