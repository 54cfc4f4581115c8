import { badData } from '../../bad-data.ts';
import { chunksOf, MAX_LINE_BYTES, NOTHING, type Line, type Place } from '../read-lines.ts';

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

/** Start of a walk over a list. */
export interface ElementsFrom {
  /** The beginning of the list or of any element. */
  readonly place: Place;
  /** True if `place` is an element. */
  readonly isInside: boolean;
  /** Continues after an element over the limit, which then has an error in place of bytes. */
  readonly skipsLongRows?: boolean;
}

/** The place of an element, for errors: with its byte where it may share a line with others. Both from 1. */
export const placeInList = (file: string, { offset, line }: Place): string =>
  line === 1 ? `${file}:1, byte ${offset + 1}` : `${file}:${line}`;

/**
 * The elements of a JSON list in a file, as bytes, with one element in memory at a time. Only quotes and
 * brackets are followed; the bytes between two commas of the outermost list are for a parser.
 *
 * @throws QdyloraError BAD_DATA for an element over `MAX_LINE_BYTES` unless `skipsLongRows`, a file that ends
 * in the list, a list that `}` closes, or text after it.
 */
export function* jsonElements(
  descriptor: number,
  file: string,
  { place, isInside, skipsLongRows = false }: ElementsFrom,
): Generator<Line> {
  const walk = elementWalk(isInside ? 1 : 0);
  const pending = pendingElement(file, place, { isInside, skipsLongRows });
  let { offset, line } = place;
  for (const chunk of chunksOf(descriptor, offset)) {
    let from = 0;
    for (let i = 0; i < chunk.length; i++) {
      const byte = chunk[i];
      const event = walk(byte);
      const next = { offset: offset + 1, line };
      if (event === 'outside') throw textAfterList(file, line);
      if (event === 'mismatch') throw wrongEnd(file, line);
      if (event === 'begin') pending.begin(next);
      else if (event) {
        const element = pending.end(chunk.subarray(from, i), next, event);
        if (element) yield element;
      }
      if (event) from = i + 1;
      offset++;
      if (byte === NEWLINE) line++;
    }
    if (walk.isInside()) pending.add(chunk.subarray(from));
  }
  if (walk.isInside()) throw cutList(file, line);
}

/** The current element, whose first bytes may be in earlier chunks. */
interface PendingElement {
  /** Begins the list. */
  begin(start: Place): void;
  /** Adds bytes. @throws QdyloraError BAD_DATA if the element is too long and such rows are not skipped */
  add(bytes: Buffer): void;
  /**
   * Ends the element with its last bytes; null for an empty list. @throws QdyloraError BAD_DATA for a missing
   * element, or as `add` does
   */
  end(bytes: Buffer, next: Place, event: 'comma' | 'end'): Line | null;
}

interface PendingOptions {
  readonly isInside: boolean;
  readonly skipsLongRows: boolean;
}

function pendingElement(
  file: string,
  from: Place,
  { isInside, skipsLongRows }: PendingOptions,
): PendingElement {
  let parts: Buffer[] = [];
  let size = 0;
  let start = from;
  let isAfterComma = isInside;
  const restart = (place: Place): void => {
    parts = [];
    size = 0;
    start = place;
  };
  const tooLong = (): Error =>
    badData(
      placeInList(file, start),
      `A row has more than ${MAX_LINE_BYTES} bytes`,
      'Correct or delete this row.',
    );
  const add = (bytes: Buffer): void => {
    parts.push(bytes);
    size += bytes.length;
    if (size <= MAX_LINE_BYTES) return;
    if (!skipsLongRows) throw tooLong();
    parts = [];
  };
  return {
    begin(place) {
      isAfterComma = false;
      restart(place);
    },
    add,
    end(bytes, next, event) {
      add(bytes);
      if (size > MAX_LINE_BYTES) {
        const error = tooLong();
        const { offset, line } = start;
        isAfterComma = true;
        restart(next);
        return { bytes: NOTHING, offset, line, next, error };
      }
      const element = skipSpace(Buffer.concat(parts), start, next);
      const isMissing = element.bytes.length === 0;
      if (isMissing && (event === 'comma' || isAfterComma))
        throw badData(
          placeInList(file, element),
          'There is no JSON object between commas',
          'Delete the comma.',
        );
      isAfterComma = true;
      restart(next);
      return isMissing ? null : element;
    },
  };
}

const textAfterList = (file: string, line: number): Error =>
  badData(
    `${file}:${line}`,
    'There is more text after the JSON list',
    'Keep one list in the file, or one JSON object on each line.',
  );

const cutList = (file: string, line: number): Error =>
  badData(
    `${file}:${line}`,
    'The JSON list has no ] at its end',
    'The file may be cut: make or download it again.',
  );

const wrongEnd = (file: string, line: number): Error =>
  badData(
    `${file}:${line}`,
    'The JSON list is closed by } in place of ]',
    'The file may be damaged: make or download it again.',
  );

/** Moves the start of an element to its first byte that is not white space. */
function skipSpace(bytes: Buffer, start: Place, next: Place): Line {
  let from = 0;
  let line = start.line;
  while (from < bytes.length && isSpace(bytes[from])) if (bytes[from++] === NEWLINE) line++;
  return { bytes: bytes.subarray(from), offset: start.offset + from, line, next };
}

type WalkEvent = 'begin' | 'comma' | 'end' | 'outside' | 'mismatch' | null;

/**
 * Follows JSON byte by byte and reports the start, commas and end of the outermost list. `mismatch` is a `}`
 * in place of its `]`.
 */
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
    else if (byte === CLOSE_RECORD && depth === 1) return 'mismatch';
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
