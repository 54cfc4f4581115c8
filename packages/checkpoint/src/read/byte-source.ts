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

/** Bytes with random access, from one open file or from memory. */
export interface ByteSource {
  /** The name in error messages. */
  readonly path: string;
  readonly name: string;
  readonly byteLength: number;
  /** Fills `target` completely from `offset`. @throws QdyloraError BAD_FILE if there are not enough bytes. */
  readInto(target: Uint8Array, offset: number): void;
  /**
   * Reads in the background, with the system's threads or with `read`, into a part of `buffer`, which is
   * PAGES_AROUND longer than `length`; returns that part. Bypasses the system's cache if that is faster and
   * `buffer` begins on a page. Until it resolves, `buffer` must stay valid and the source open.
   */
  readPagesAsync(buffer: Uint8Array, bytes: PagesToRead): Promise<Uint8Array>;
  close(): void;
}

/** Bytes per system call: Node's length argument is a signed 32-bit number. */
const READ_PIECE_BYTES = 2 ** 30;

/**
 * Opens a regular file and reads through that one descriptor, so that replacing the file changes nothing.
 *
 * @throws QdyloraError BAD_ARGUMENT for an invalid path; MISSING_FILE without a file; BAD_FILE for a
 * directory, FIFO, socket or device, or if the file cannot be read.
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
        problem: `This is ${fileKindOf(stats)}, not a regular file.`,
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
    const stats = nodeFs.fstatSync(fd); // the opened file may differ from the checked one
    refuse(stats);
    return fileSource({ fd, path, format }, stats.size);
  } catch (cause) {
    nodeFs.closeSync(fd);
    throw cause;
  }
}

/** An open file. `path` and `format` are for messages. */
interface OpenFile {
  readonly fd: number;
  readonly path: string;
  readonly format: string;
}

function fileSource(file: OpenFile, byteLength: number): ByteSource {
  const { fd, path } = file;
  let isOpen = true;
  let pages: PageReader | null = null;
  const assertOpen = (): void => {
    if (!isOpen) throw new DisposedError('checkpoint');
  };
  const readIntoAsync = async (target: Uint8Array, offset: number): Promise<void> => {
    assertOpen();
    for (let done = 0; done < target.length;) {
      const bytesRead = await readPieceAsync(file, target.subarray(done), offset + done);
      if (bytesRead === 0) throw shrunkFile(file, { offset, wanted: target.length, bytesRead: done });
      done += bytesRead;
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
        const bytesRead = readPiece(file, target.subarray(done), offset + done);
        if (bytesRead === 0) throw shrunkFile(file, { offset, wanted: target.length, bytesRead: done });
        done += bytesRead;
      }
    },
    async readPagesAsync(buffer, bytes) {
      assertOpen();
      return await (pages ??= pageReader(fd, readIntoAsync)).read(buffer, bytes);
    },
    close() {
      pages?.close();
      if (isOpen) nodeFs.closeSync(fd);
      isOpen = false;
    },
  };
}

/** Reads from `position` to the start of `target`; returns the number of bytes, 0 at the end of the file. */
function readPiece(file: OpenFile, target: Uint8Array, position: number): number {
  try {
    return nodeFs.readSync(file.fd, target, 0, Math.min(READ_PIECE_BYTES, target.length), position);
  } catch (cause) {
    throw unreadable(file, position, cause);
  }
}

const readPieceAsync = (file: OpenFile, target: Uint8Array, position: number): Promise<number> =>
  new Promise((resolve, reject) => {
    const length = Math.min(READ_PIECE_BYTES, target.length);
    nodeFs.read(file.fd, target, 0, length, position, (cause, bytesRead) =>
      cause ? reject(unreadable(file, position, cause)) : resolve(bytesRead),
    );
  });

const unreadable = ({ format, path }: OpenFile, position: number, cause: unknown): QdyloraError =>
  badFile({
    format,
    path,
    problem: `The bytes at ${position} cannot be read: ${messageOf(cause)}.`,
    nextStep: 'Check the disk.',
    cause,
  });

const shrunkFile = (
  { format, path }: OpenFile,
  {
    offset,
    wanted,
    bytesRead,
  }: { readonly offset: number; readonly wanted: number; readonly bytesRead: number },
): QdyloraError =>
  badFile({
    format,
    path,
    problem: `There are only ${bytesRead} of the ${wanted} bytes at ${offset}.`,
    nextStep: 'The file shrank while it was open. Open it again once nobody writes to it.',
  });

/** A source over bytes in memory. */
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
    async readPagesAsync(buffer, { offset, length }) {
      const part = buffer.subarray(0, length);
      readInto(part, offset);
      return part;
    },
    close() {
      /* nothing is held */
    },
  };
}

/** Reads `length` bytes into new memory. @throws InsufficientMemoryError if they do not fit. */
export function readBytes(source: ByteSource, offset: number, length: number): Uint8Array<ArrayBuffer> {
  const target = allocateBytes(length);
  source.readInto(target, offset);
  return target;
}

/** Allocates zeroed bytes; a typed error if the engine has no room. */
export function allocateBytes(length: number): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(length);
  } catch {
    throw new InsufficientMemoryError(length, NaN, 'checkpoint');
  }
}

function fileKindOf(stats: nodeFs.Stats): string {
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
