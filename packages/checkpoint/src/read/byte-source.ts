import * as nodeFs from 'node:fs';
import { basename } from 'node:path';
import {
  assertArgument,
  DisposedError,
  InsufficientMemoryError,
  QdyloraError,
  shownValue,
} from '@qdylora/contract';
import { badFile } from '../bad-file.ts';
import { pageReader, type PageReader, type PagesToRead } from './page-reader.ts';

/** Bytes that can be read at any place, from one open file or from memory. */
export interface ByteSource {
  /** As error messages name it. */
  readonly path: string;
  readonly name: string;
  readonly byteLength: number;
  /**
   * Fills `target` from `offset`; all of it or an error. @throws QdyloraError BAD_FILE where the bytes are
   * not there.
   */
  readInto(target: Uint8Array, offset: number): void;
  /**
   * Reads by the system's threads, or by `read`, while the caller goes on, into some part of `place`, which
   * is PAGES_AROUND longer than `length`; returns that part. Past the system's cache where that is faster and
   * `place` begins on a page. `place` must stay, and the source open, until then.
   */
  readPagesBehind(place: Uint8Array, bytes: PagesToRead): Promise<Uint8Array>;
  close(): void;
}

/** One system call reads at most this much: Node's length argument is a signed 32-bit number. */
const READ_PIECE_BYTES = 2 ** 30;

/**
 * Opens a regular file and reads through that one descriptor from then on, so that a file swapped under its
 * name changes nothing.
 *
 * @throws QdyloraError BAD_ARGUMENT for what is no path; MISSING_FILE where there is none; BAD_FILE for a
 * directory, FIFO, socket or device, or where it cannot be read.
 */
export function openByteSource(path: string, format: string): ByteSource {
  assertArgument(
    typeof path === 'string',
    format,
    `The argument must be the path of a file (got ${shownValue(path)})`,
  );
  const refuse = (stats: nodeFs.Stats): void => {
    if (!stats.isFile())
      throw badFile({
        format,
        path,
        problem: `This is ${kindOf(stats)}, not a regular file.`,
        nextStep: 'Name the file itself.',
      });
  };
  let fd: number;
  try {
    refuse(nodeFs.statSync(path)); // opening a FIFO would wait for a writer
    fd = nodeFs.openSync(path, nodeFs.constants.O_RDONLY | (nodeFs.constants.O_NONBLOCK ?? 0));
  } catch (cause) {
    throw openError(path, format, cause);
  }
  try {
    const stats = nodeFs.fstatSync(fd); // what was opened may not be what was looked at
    refuse(stats);
    return fileSource(fd, path, format, stats.size);
  } catch (cause) {
    nodeFs.closeSync(fd);
    throw cause;
  }
}

function fileSource(fd: number, path: string, format: string, byteLength: number): ByteSource {
  let isOpen = true;
  let pages: PageReader | null = null;
  const assertOpen = (): void => {
    if (!isOpen) throw new DisposedError('checkpoint');
  };
  const readIntoBehind = async (target: Uint8Array, offset: number): Promise<void> => {
    assertOpen();
    for (let done = 0; done < target.length;) {
      const got = await readPieceBehind(fd, target, done, offset + done, path, format);
      if (got === 0) throw shrunkFile(format, path, { offset, wanted: target.length, got: done });
      done += got;
    }
  };
  return {
    path,
    name: basename(path),
    byteLength,
    readInto(target, offset) {
      assertOpen();
      let done = 0;
      while (done < target.length) {
        const got = readPiece(fd, target, done, offset + done, path, format);
        if (got === 0) throw shrunkFile(format, path, { offset, wanted: target.length, got: done });
        done += got;
      }
    },
    async readPagesBehind(place, bytes) {
      assertOpen();
      return await (pages ??= pageReader(fd, readIntoBehind)).read(place, bytes);
    },
    close() {
      pages?.close();
      if (isOpen) nodeFs.closeSync(fd);
      isOpen = false;
    },
  };
}

function readPiece(
  fd: number,
  target: Uint8Array,
  at: number,
  position: number,
  path: string,
  format: string,
): number {
  try {
    return nodeFs.readSync(fd, target, at, Math.min(READ_PIECE_BYTES, target.length - at), position);
  } catch (cause) {
    throw unreadable(format, path, position, cause);
  }
}

const readPieceBehind = (
  fd: number,
  target: Uint8Array,
  at: number,
  position: number,
  path: string,
  format: string,
): Promise<number> =>
  new Promise((resolve, reject) => {
    nodeFs.read(fd, target, at, Math.min(READ_PIECE_BYTES, target.length - at), position, (cause, got) =>
      cause ? reject(unreadable(format, path, position, cause)) : resolve(got),
    );
  });

const unreadable = (format: string, path: string, position: number, cause: unknown): QdyloraError =>
  badFile({
    format,
    path,
    problem: `The bytes at ${position} cannot be read: ${messageOf(cause)}.`,
    nextStep: 'Check the disk.',
    cause,
  });

const shrunkFile = (
  format: string,
  path: string,
  { offset, wanted, got }: { readonly offset: number; readonly wanted: number; readonly got: number },
): QdyloraError =>
  badFile({
    format,
    path,
    problem: `There are only ${got} of the ${wanted} bytes at ${offset}.`,
    nextStep: 'The file shrank while it was open. Open it again once nobody writes to it.',
  });

/** The same interface over bytes in memory. */
export function memoryByteSource(bytes: Uint8Array, path = 'memory', format = 'memory'): ByteSource {
  const readInto = (target: Uint8Array, offset: number): void => {
    if (offset + target.length > bytes.length)
      throw badFile({
        format,
        path,
        problem:
          `There are only ${Math.max(0, bytes.length - offset)} of the ${target.length} bytes at ` +
          `${offset}.`,
      });
    target.set(bytes.subarray(offset, offset + target.length));
  };
  return {
    path,
    name: basename(path),
    byteLength: bytes.length,
    readInto,
    async readPagesBehind(place, { offset, length }) {
      const part = place.subarray(0, length);
      readInto(part, offset);
      return part;
    },
    close() {
      /* nothing is held */
    },
  };
}

/** `length` bytes of their own memory. @throws InsufficientMemoryError where they do not fit. */
export function readBytes(source: ByteSource, offset: number, length: number): Uint8Array<ArrayBuffer> {
  const target = allocateBytes(length);
  source.readInto(target, offset);
  return target;
}

/** Zeroed bytes, or a typed error where the engine has no room. */
export function allocateBytes(length: number): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(length);
  } catch {
    throw new InsufficientMemoryError(length, NaN, 'checkpoint');
  }
}

function kindOf(stats: nodeFs.Stats): string {
  if (stats.isDirectory()) return 'a folder';
  if (stats.isFIFO()) return 'a FIFO';
  if (stats.isSocket()) return 'a socket';
  return 'a device';
}

const messageOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause));

function openError(path: string, format: string, cause: unknown): QdyloraError {
  if (QdyloraError.isInstance(cause)) return cause;
  const code = (cause as { code?: string }).code;
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    return new QdyloraError('MISSING_FILE', {
      where: format,
      problem: `There is no file ${path}.`,
      nextStep: 'Check the path.',
      details: { path },
      cause,
    });
  }
  return badFile({
    format,
    path,
    problem: `The file cannot be read: ${messageOf(cause)}.`,
    nextStep: 'Check the path and its permissions.',
    cause,
  });
}
