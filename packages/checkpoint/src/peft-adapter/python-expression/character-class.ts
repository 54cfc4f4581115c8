import { UnreadError } from './unread-error.ts';

export type CharacterTest = (character: string) => boolean;

/** The classes of Python's `str` expressions. */
const CLASSES: Readonly<Record<string, CharacterTest>> = {
  d: (character) => /\p{Nd}/u.test(character),
  w: (character) => /[\p{L}\p{N}_]/u.test(character),
  s: (character) => /\s/.test(character),
};

const CONTROLS: Readonly<Record<string, string>> = {
  a: '\x07',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
};

/** The meaning of `\` and a character: one character, or a class. */
export function escaped(character: string): string | CharacterTest {
  const test = CLASSES[character.toLowerCase()];
  if (test) return character in CLASSES ? test : (other) => !test(other);
  if (character in CONTROLS) return CONTROLS[character]!;
  // back references and codes are not read; other letters are errors in Python
  if (/[A-Za-z0-9]/.test(character)) throw new UnreadError();
  return character;
}

/** The characters between `[` and `]`. */
export interface CharacterClass {
  readonly contains: CharacterTest;
  /** True for `[^`: it stands for all others. */
  readonly isNegated: boolean;
  /** Index after the `]`. */
  readonly end: number;
}

/**
 * Reads `[…]`. A `]` that is first belongs to the class.
 *
 * @param at index after the `[`
 * @throws UnreadError
 */
export function readClass(source: readonly string[], at: number): CharacterClass {
  let next = at;
  const isNegated = source[next] === '^';
  if (isNegated) next++;
  const first = next;
  const tests: CharacterTest[] = [];
  const readOne = (): string | CharacterTest => {
    const character = source[next++];
    if (character === undefined) throw new UnreadError();
    if (character !== '\\') return character;
    const following = source[next++];
    if (following === undefined) throw new UnreadError();
    return following === 'b' ? '\b' : escaped(following);
  };
  while (source[next] !== ']' || next === first) {
    const low = readOne();
    if (source[next] === '-' && source[next + 1] !== ']') {
      next++;
      const high = readOne();
      if (typeof low !== 'string' || typeof high !== 'string' || low > high) throw new UnreadError();
      tests.push((character) => low <= character && character <= high);
    } else tests.push(typeof low === 'string' ? (character) => character === low : low);
  }
  return { contains: (character) => tests.some((test) => test(character)), isNegated, end: next + 1 };
}
