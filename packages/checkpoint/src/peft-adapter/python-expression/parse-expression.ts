import { escaped, readClass, type CharacterTest } from './character-class.ts';
import {
  either,
  fixedWidth,
  repeated,
  repeatedLength,
  type Assertion,
  type Program,
  type Repeat,
} from './program.ts';
import { runProgram } from './run-program.ts';
import { UnreadError } from './unread-error.ts';

/** Longest program. It bounds the time of a match, and what `{1000}` makes of a few characters. */
const MAX_INSTRUCTIONS = 2048;

/** Longest sum of all lookarounds, which run again at each character. */
const MAX_LOOKAROUND_INSTRUCTIONS = 128;

/** Deepest nesting of groups: each is a call. */
const MAX_DEPTH = 64;

/** The group whose text a match returns: PEFT's index of a layer. */
const GROUP = 'idx';

/** What is left of an expression, and what was used of its limits. */
interface Reader {
  readonly source: readonly string[];
  readonly ignoresCase: boolean;
  at: number;
  depth: number;
  isInLookaround: boolean;
  lookaroundInstructions: number;
}

/**
 * The program of an expression in the syntax of Python's `re`: sequences, alternatives, groups, classes,
 * repeats, anchors, lookahead and lookbehind, and a leading `(?i)`.
 *
 * @throws UnreadError for back references, other flags, possessive repeats and groups, lookarounds in a
 * lookaround, and for what is no expression
 */
export function parseExpression(expression: string): Program {
  const ignoresCase = expression.startsWith('(?i)');
  const reader = {
    source: Array.from(ignoresCase ? expression.slice('(?i)'.length) : expression),
    ignoresCase,
    at: 0,
    depth: 0,
    isInLookaround: false,
    lookaroundInstructions: 0,
  };
  const program = readAlternatives(reader);
  if (reader.at < reader.source.length) throw new UnreadError(); // a `)` too many
  return program;
}

function readAlternatives(reader: Reader): Program {
  if (reader.depth > MAX_DEPTH) throw new UnreadError();
  const sequences = [readSequence(reader)];
  while (take(reader, '|')) sequences.push(readSequence(reader));
  return assertShort(sequences.reduceRight((others, sequence) => either(sequence, others)));
}

function readSequence(reader: Reader): Program {
  const { source } = reader;
  const parts: Program[] = [];
  while (reader.at < source.length && source[reader.at] !== '|' && source[reader.at] !== ')') {
    const part = readPart(reader);
    const repeat = readRepeat(reader);
    if (repeat === null) parts.push(part);
    else if (part[0]?.op === 'assert' || repeatedLength(part, repeat) > MAX_INSTRUCTIONS)
      throw new UnreadError(); // Python has nothing to repeat in `^*`
    else parts.push(repeated(part, repeat));
  }
  return assertShort(parts.flat());
}

/** A character, a class, an anchor or a group. */
function readPart(reader: Reader): Program {
  if (readRepeat(reader) !== null) throw new UnreadError(); // nothing to repeat, or a repeat of a repeat
  const character = reader.source[reader.at++]!;
  if (character === '.') return one(reader, (other) => other !== '\n');
  if (character === '^') return assertion(atStart);
  if (character === '$') return assertion(atEndOrLastNewline);
  if (character === '(') return readGroup(reader);
  if (character === '\\') return readEscape(reader);
  if (character !== '[') return one(reader, (other) => other === character);
  const { contains, isNegated, end } = readClass(reader.source, reader.at);
  reader.at = end;
  const isInside = anyCase(reader, contains);
  return [{ op: 'character', matches: (other) => isInside(other) !== isNegated }];
}

function readEscape(reader: Reader): Program {
  const character = reader.source[reader.at++];
  if (character === undefined) throw new UnreadError();
  const anchor = ANCHORS.get(character);
  if (anchor) return assertion(anchor);
  const meaning = escaped(character);
  return one(reader, typeof meaning === 'string' ? (other) => other === meaning : meaning);
}

const LOOKAROUNDS = ['?=', '?!', '?<=', '?<!'] as const;

function readGroup(reader: Reader): Program {
  const { source } = reader;
  const lookaround = LOOKAROUNDS.find((opening) => take(reader, opening));
  if (lookaround !== undefined) return readLookaround(reader, lookaround);
  const isNamed = take(reader, '?P<');
  const nameAt = reader.at;
  if (isNamed) {
    reader.at = source.indexOf('>', nameAt) + 1;
    if (reader.at === 0) throw new UnreadError();
  } else if (!take(reader, '?:') && source[reader.at] === '?') throw new UnreadError();
  const name = source.slice(nameAt, reader.at - 1).join('');
  const body = readBody(reader);
  return isNamed && name === GROUP
    ? [{ op: 'mark', edge: 'start' }, ...body, { op: 'mark', edge: 'end' }]
    : body;
}

/** The alternatives of a group, and its `)`. */
function readBody(reader: Reader): Program {
  reader.depth++;
  const body = readAlternatives(reader);
  reader.depth--;
  if (!take(reader, ')')) throw new UnreadError();
  return body;
}

function readLookaround(reader: Reader, opening: (typeof LOOKAROUNDS)[number]): Program {
  if (reader.isInLookaround) throw new UnreadError();
  reader.isInLookaround = true;
  const body = readBody(reader);
  reader.isInLookaround = false;
  reader.lookaroundInstructions += body.length;
  if (reader.lookaroundInstructions > MAX_LOOKAROUND_INSTRUCTIONS) throw new UnreadError();
  const isWanted = opening.endsWith('=');
  if (!opening.includes('<'))
    return assertion((text, at) => (runProgram(body, text, { from: at }) !== null) === isWanted);
  const width = fixedWidth(body);
  if (width === null) throw new UnreadError();
  const isBehind: Assertion = (text, at) =>
    at >= width && runProgram(body, text, { from: at - width, to: at }) !== null;
  return assertion((text, at) => isBehind(text, at) === isWanted);
}

/** A repeat and its `?` for lazy; null if there is none here. */
function readRepeat(reader: Reader): Repeat | null {
  const range = readRange(reader);
  if (range === null) return null;
  if (range.min > range.max || reader.source[reader.at] === '+') throw new UnreadError(); // `+`: possessive
  return { ...range, isLazy: take(reader, '?') };
}

function readRange(reader: Reader): { readonly min: number; readonly max: number } | null {
  if (take(reader, '*')) return { min: 0, max: Infinity };
  if (take(reader, '+')) return { min: 1, max: Infinity };
  if (take(reader, '?')) return { min: 0, max: 1 };
  if (reader.source[reader.at] !== '{') return null;
  const rest = reader.source.slice(reader.at).join('');
  const range = /^\{(?:(?<times>\d+)|(?<min>\d*),(?<max>\d*))\}/.exec(rest);
  if (!range) return null; // a `{` that is a character
  reader.at += range[0].length;
  const { times, min, max } = range.groups!;
  if (times !== undefined) return { min: Number(times), max: Number(times) };
  return { min: Number(min), max: max === '' ? Infinity : Number(max) };
}

/** Moves past `text` if it comes next. */
function take(reader: Reader, text: string): boolean {
  const { source, at } = reader;
  if (source.slice(at, at + text.length).join('') !== text) return false;
  reader.at += text.length;
  return true;
}

const one = (reader: Reader, matches: CharacterTest): Program => [
  { op: 'character', matches: anyCase(reader, matches) },
];

const anyCase = ({ ignoresCase }: Reader, matches: CharacterTest): CharacterTest =>
  ignoresCase
    ? (character) =>
        matches(character) || matches(character.toLowerCase()) || matches(character.toUpperCase())
    : matches;

const assertion = (holds: Assertion): Program => [{ op: 'assert', holds }];

const atStart: Assertion = (_, at) => at === 0;
const atEnd: Assertion = (text, at) => at === text.length;
const atEndOrLastNewline: Assertion = (text, at) =>
  at === text.length || (at === text.length - 1 && text[at] === '\n');

const isWord = escaped('w') as CharacterTest;
const atWordBoundary: Assertion = (text, at) =>
  (at > 0 && isWord(text[at - 1]!)) !== (at < text.length && isWord(text[at]!));

const ANCHORS: ReadonlyMap<string, Assertion> = new Map<string, Assertion>([
  ['A', atStart],
  ['Z', atEnd],
  ['b', atWordBoundary],
  ['B', (text, at) => text.length > 0 && !atWordBoundary(text, at)],
]);

function assertShort(program: Program): Program {
  if (program.length > MAX_INSTRUCTIONS) throw new UnreadError();
  return program;
}
