import { closeSync, openSync, readSync, statSync } from 'node:fs';
import { QdyloraError } from '@qdylora/contract';
import { badData } from './bad-data.ts';

/** The longest line that is read: far beyond any row (a 1 M-token context is about 4 MiB of text), and it stops a 2 GB line before it fills memory. */
export const MAX_LINE_BYTES = 64 * 2 ** 20;

/** Bytes asked of the file system at a time. */
const CHUNK_BYTES = 2 ** 20;

export interface Line { readonly bytes: Buffer; /** From 1. */ readonly number: number }

/**
 * A file's lines as bytes, in memory one at a time; a byte order mark at the start is left out, as is a `\r` before the `\n`.
 *
 * @throws QdyloraError MISSING_FILE; BAD_DATA for what is not a regular file, or for a line over `MAX_LINE_BYTES`.
 */
export function* readLines(file: string, maxLineBytes = MAX_LINE_BYTES): Generator<Line> {
  assertRegularFile(file);
  const descriptor = openSync(file, 'r');
  try {
    let number = 1;
    for (const bytes of splitLines(chunksOf(descriptor), (size) => assertShort(file, number, size, maxLineBytes))) {
      yield { bytes: trimmed(bytes, number === 1), number };
      number++;
    }
  } finally {
    closeSync(descriptor);
  }
}

/** A FIFO or a device would block, a folder would fail later with a worse message. */
export function assertRegularFile(file: string): void {
  const stat = statSync(file, { throwIfNoEntry: false });
  if (!stat) throw new QdyloraError('MISSING_FILE', { where: file, problem: 'expected a dataset file, got no such file', nextStep: 'Check the path: it is relative to the working directory.' });
  if (!stat.isFile()) throw badData(file, `expected a regular file for a dataset, got ${stat.isDirectory() ? 'a folder' : 'something else'}`, 'Name the file itself.');
}

function* chunksOf(descriptor: number): Generator<Buffer> {
  for (;;) {
    const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
    const size = readSync(descriptor, chunk, 0, CHUNK_BYTES, null);
    if (size === 0) return;
    yield chunk.subarray(0, size);
  }
}

/** Calls `allow` with the size of each line while it grows. */
function* splitLines(chunks: Iterable<Buffer>, allow: (size: number) => void): Generator<Buffer> {
  let parts: Buffer[] = [], size = 0;
  const add = (part: Buffer): void => { parts.push(part); size += part.length; allow(size); };
  for (const chunk of chunks) {
    let from = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, from)) {
      add(chunk.subarray(from, end));
      yield parts.length === 1 ? parts[0]! : Buffer.concat(parts);
      parts = []; size = 0; from = end + 1;
    }
    if (from < chunk.length) add(chunk.subarray(from));
  }
  if (size > 0) yield Buffer.concat(parts);
}

function trimmed(bytes: Buffer, isFirst: boolean): Buffer {
  const from = isFirst && bytes.subarray(0, 3).equals(BYTE_ORDER_MARK) ? 3 : 0;
  return bytes.subarray(from, bytes.at(-1) === 13 ? -1 : undefined);
}

const BYTE_ORDER_MARK = Buffer.from([0xef, 0xbb, 0xbf]);

function assertShort(file: string, number: number, size: number, limit: number): void {
  if (size > limit) throw badData(`${file}:${number}`, `expected at most ${limit} bytes for a line, got more`, 'Put one row on each line, or name the file .txt to train on its text.');
}
