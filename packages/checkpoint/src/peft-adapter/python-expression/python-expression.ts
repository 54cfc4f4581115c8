import { parseExpression } from './parse-expression.ts';
import type { Program } from './program.ts';
import { runProgram, type Match } from './run-program.ts';
import { UnreadError } from './unread-error.ts';

/** Longest expression. Unsloth writes about 350 characters for models with images. */
const MAX_EXPRESSION = 1024;

/** A regular expression of Python's `re`. */
export interface PythonExpression {
  /** `re.fullmatch` */
  fitsWhole(text: string): boolean;
  /** `re.match`: the match at the beginning of the text, with its group `idx`. */
  fitsBeginning(text: string): Match | null;
}

/**
 * Reads an expression of an adapter's config as Python would. JavaScript's own would read some of the syntax
 * in another way, and take exponential time for an expression that was made for that. Here the time of a
 * match is at most characters of the text × length of the expression, or the square of the characters in a
 * short lookaround.
 *
 * Null where it is not read: it is longer than 1024 characters, no expression, or has back references, flags
 * other than a leading `(?i)`, possessive repeats, or lookarounds in lookarounds.
 */
export function pythonExpression(expression: string): PythonExpression | null {
  const program = programOf(expression);
  if (program === null) return null;
  return {
    fitsWhole(text) {
      const characters = Array.from(text);
      return runProgram(program, characters, { to: characters.length }) !== null;
    },
    fitsBeginning: (text) => runProgram(program, Array.from(text)),
  };
}

function programOf(expression: string): Program | null {
  if (expression.length > MAX_EXPRESSION) return null;
  try {
    return parseExpression(expression);
  } catch (error) {
    if (error instanceof UnreadError) return null;
    throw error;
  }
}
