import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { QdyloraError } from '@qdylora/contract';
import { badData } from '../bad-data.ts';
import { statOf } from '../file-names/stat-of.ts';

/**
 * The longest line accepted: a context of 1 M tokens is about 4 MiB of text. A 2 GB line is refused before it
 * fills memory; a parsed row of 16 MiB takes about 60 MB.
 */
export const MAX_LINE_BYTES = 16 * 2 ** 20;

/** Bytes per read. */
const CHUNK_BYTES = 2 ** 18;

/** The position of a line or a row, where a walk can begin. `line` counts from 1. */
export interface Place {
  readonly offset: number;
  readonly line: number;
}

export const BEGINNING: Place = { offset: 0, line: 1 };

/** A line, or another range of a file that is one row. */
export interface Line extends Place {
  readonly bytes: Buffer;
  /** The position of the next one. */
  readonly next: Place;
  /** Set in place of the bytes if the line is over the limit and `skipsLongLines` is true. */
  readonly error?: Error;
}

export interface LineOptions {
  /** Continues after a line over the limit, which then has an error in place of bytes. Default: false. */
  readonly skipsLongLines?: boolean;
  /** How errors name the place of a line, and what to do about a long one; by default as of a text file. */
  readonly wording?: { where(place: Place): string; readonly nextStep: string };
}

/**
 * The lines of a file as bytes, with one line in memory at a time, without a byte order mark at the start and
 * without `\r` before `\n`.
 *
 * @throws QdyloraError MISSING_FILE; BAD_DATA for anything but a regular file, or for a line over
 * `MAX_LINE_BYTES`.
 */
export function* readLines(file: string): Generator<Line> {
  const descriptor = openRegularFile(file);
  try {
    yield* linesOf(descriptor, file, BEGINNING);
  } finally {
    closeSync(descriptor);
  }
}

/**
 * The lines of an open file from `from` on. @throws QdyloraError BAD_DATA for a line over `MAX_LINE_BYTES`,
 * unless `skipsLongLines`.
 */
export function* linesOf(
  descriptor: number,
  file: string,
  from: Place,
  { skipsLongLines = false, wording }: LineOptions = {},
): Generator<Line> {
  let { line, offset } = from;
  const tooLong = (): Error =>
    badData(
      wording?.where({ line, offset }) ?? `${file}:${line}`,
      `The ${wording ? 'row' : 'line'} has more than ${MAX_LINE_BYTES} bytes`,
      wording?.nextStep ?? 'Put one row on each line, or name the file .txt to train on its text.',
    );
  const isTooLong = (size: number): boolean => {
    if (size > MAX_LINE_BYTES && !skipsLongLines) throw tooLong();
    return size > MAX_LINE_BYTES;
  };
  for (const { bytes, end } of splitLines(chunksOf(descriptor, offset), offset, isTooLong)) {
    const next = { offset: end, line: line + 1 };
    yield bytes
      ? { bytes: trimmed(bytes, offset === 0), line, offset, next }
      : { bytes: NOTHING, line, offset, next, error: tooLong() };
    line++;
    offset = end;
  }
}

/** The bytes of a row that is too long. */
export const NOTHING = Buffer.alloc(0);

/**
 * Opens a file for reading. @throws QdyloraError MISSING_FILE; BAD_DATA if it is not a regular file, or if it
 * cannot be opened
 */
export function openRegularFile(file: string): number {
  assertRegularFile(file);
  const descriptor = openToRead(file);
  if (fstatSync(descriptor).isFile()) return descriptor;
  closeSync(descriptor);
  throw badData(file, 'The dataset must be a regular file', 'Name the file itself.');
}

function openToRead(file: string): number {
  try {
    return openSync(file, 'r');
  } catch (cause) {
    const isTooMany = ['EMFILE', 'ENFILE'].includes((cause as { code?: string }).code ?? '');
    throw badData(
      file,
      `The file cannot be opened: ${(cause as Error).message}`,
      isTooMany
        ? 'Raise the limit of open files (ulimit -n), or put the rows into fewer files.'
        : 'Make it readable.',
      cause,
    );
  }
}

/**
 * Checks that a file of rows is a regular file: a FIFO or a device would block, and a folder would fail later
 * with a worse message.
 *
 * @throws QdyloraError MISSING_FILE; BAD_DATA for anything but a regular file
 */
export function assertRegularFile(file: string): void {
  const stat = statOf(file);
  if (!stat)
    throw new QdyloraError('MISSING_FILE', {
      where: file,
      problem: 'There is no such dataset file.',
      nextStep: `Check the path: it is relative to the working directory.`,
    });
  if (!stat.isFile())
    throw badData(
      file,
      `The dataset must be a regular file (got ${stat.isDirectory() ? 'a folder' : 'something else'})`,
      'Name the file itself.',
    );
}

/** The bytes of an open file from `offset` on; each chunk has its own memory. */
export function* chunksOf(descriptor: number, offset: number): Generator<Buffer> {
  for (let at = offset; ;) {
    const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
    const size = readSync(descriptor, chunk, 0, CHUNK_BYTES, at);
    if (size === 0) return;
    yield chunk.subarray(0, size);
    at += size;
  }
}

/**
 * Splits chunks into lines. `isTooLong` is asked about the size of a line while it grows; a line that is too
 * long has null in place of its bytes. `end` is the position of the next line.
 */
function* splitLines(
  chunks: Iterable<Buffer>,
  offset: number,
  isTooLong: (size: number) => boolean,
): Generator<{ bytes: Buffer | null; end: number }> {
  let parts: Buffer[] = [];
  let size = 0;
  let start = offset;
  let isKept = true;
  const add = (part: Buffer): void => {
    size += part.length;
    isKept &&= !isTooLong(size);
    if (isKept) parts.push(part);
    else parts = [];
  };
  const taken = (): Buffer | null => (isKept ? (parts.length === 1 ? parts[0] : Buffer.concat(parts)) : null);
  for (const chunk of chunks) {
    let from = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, from)) {
      add(chunk.subarray(from, end));
      start += size + 1;
      yield { bytes: taken(), end: start };
      parts = [];
      size = 0;
      isKept = true;
      from = end + 1;
    }
    if (from < chunk.length) add(chunk.subarray(from));
  }
  if (size > 0) yield { bytes: taken(), end: start + size };
}

function trimmed(bytes: Buffer, isFirst: boolean): Buffer {
  const from = isFirst && bytes.subarray(0, 3).equals(BYTE_ORDER_MARK) ? 3 : 0;
  return bytes.subarray(from, bytes.at(-1) === 13 ? -1 : undefined);
}

export const BYTE_ORDER_MARK = Buffer.from([0xef, 0xbb, 0xbf]);
