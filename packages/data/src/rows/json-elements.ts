import { badData } from '../bad-data.ts';
import { chunksOf, MAX_LINE_BYTES, type Line, type Place } from './read-lines.ts';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const NEWLINE = 0x0a;
const OPEN_LIST = 0x5b;
const CLOSE_LIST = 0x5d;
const OPEN_RECORD = 0x7b;
const CLOSE_RECORD = 0x7d;

const isSpace = (byte: number): boolean =>
  byte === 0x20 || byte === NEWLINE || byte === 0x0d || byte === 0x09;

/**
 * The elements of a JSON list in a file, as bytes, in memory one at a time: what stands between the commas of
 * the outermost list.
 * What the bytes say is for whoever parses them; here only quotes and brackets are followed. `from` is where
 * the list begins, or any element's place.
 *
 * @throws QdyloraError BAD_DATA for an element over the limit, a file that ends inside the list, or words
 * behind it.
 */
export function* jsonElements(
  descriptor: number,
  file: string,
  from: Place,
  isInside: boolean,
  maxBytes = MAX_LINE_BYTES,
): Generator<Line> {
  const walk = elementWalk(isInside ? 1 : 0);
  let parts: Buffer[] = [];
  let size = 0;
  let start = from;
  let isBehindComma = isInside;
  let { offset, line } = from;
  const where = (): string => `${file}:${start.line}`;
  for (const chunk of chunksOf(descriptor, from.offset)) {
    let begun = 0;
    for (let i = 0; i < chunk.length; i++) {
      const byte = chunk[i]!;
      const event = walk(byte);
      if (event === 'outside')
        throw badData(
          `${file}:${line}`,
          'expected the end of the file behind the JSON list, got more',
          'Keep one list in the file, or one JSON object on each line.',
        );
      if (event === 'begin') {
        isBehindComma = false;
        begun = i + 1;
        parts = [];
        size = 0;
        start = { offset: offset + 1, line };
      }
      if (event === 'comma' || event === 'end') {
        const bytes = Buffer.concat([...parts, chunk.subarray(begun, i)]);
        const next = { offset: offset + 1, line };
        const element = skipSpace(bytes, start, next);
        if (element.bytes.length > 0) yield element;
        else if (event === 'comma' || isBehindComma)
          throw badData(
            `${file}:${element.line}`,
            'expected a JSON object between commas, got nothing',
            'Delete the comma.',
          );
        isBehindComma = true;
        begun = i + 1;
        parts = [];
        size = 0;
        start = next;
      }
      offset++;
      if (byte === NEWLINE) line++;
    }
    if (walk.isInside()) {
      parts.push(chunk.subarray(begun));
      size += chunk.length - begun;
      if (size > maxBytes)
        throw badData(
          where(),
          `expected at most ${maxBytes} bytes for a row, got more`,
          'Correct or delete this row.',
        );
    }
  }
  if (walk.isInside())
    throw badData(
      `${file}:${line}`,
      'expected ] at the end of the JSON list, got the end of the file',
      'The file may be cut: make or download it again.',
    );
}

/** An element begins with its first byte that is no white space, and so does its place. */
function skipSpace(bytes: Buffer, start: Place, next: Place): Line {
  let from = 0;
  let line = start.line;
  while (from < bytes.length && isSpace(bytes[from]!)) if (bytes[from++] === NEWLINE) line++;
  return { bytes: bytes.subarray(from), offset: start.offset + from, line, next };
}

type WalkEvent = 'begin' | 'comma' | 'end' | 'outside' | null;

/** Follows JSON byte by byte: says where the outermost list begins, has a comma, and ends. */
function elementWalk(startDepth: number): ((byte: number) => WalkEvent) & { isInside: () => boolean } {
  let depth = startDepth;
  let isText = false;
  let isEscaped = false;
  let isOver = false;
  const walk = (byte: number): WalkEvent => {
    if (isText) {
      if (isEscaped) isEscaped = false;
      else if (byte === BACKSLASH) isEscaped = true;
      else if (byte === QUOTE) isText = false;
      return null;
    }
    if (depth === 0) {
      if (byte === OPEN_LIST && !isOver) {
        depth = 1;
        return 'begin';
      }
      return isSpace(byte) ? null : 'outside';
    }
    if (byte === QUOTE) isText = true;
    else if (byte === OPEN_LIST || byte === OPEN_RECORD) depth++;
    else if (byte === CLOSE_LIST || byte === CLOSE_RECORD) {
      depth--;
      if (depth === 0) {
        isOver = true;
        return 'end';
      }
    } else if (byte === COMMA && depth === 1) return 'comma';
    return null;
  };
  return Object.assign(walk, { isInside: () => depth > 0 });
}
