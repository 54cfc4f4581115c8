import { randomBytes } from 'node:crypto';
import { dirname } from 'node:path';
import { NODE_FILE_SYSTEM, type FileSystem } from './file-system.ts';
import { machineTag } from './machine-tag.ts';
import { stagedPieces, type FilePieces } from './readable-bytes.ts';
import { writeFailed } from './write-failed.ts';

/** Bytes per system call: Node's length argument is a signed 32-bit number. */
const WRITE_PIECE_BYTES = 2 ** 30;

/**
 * `<path>.tmp-<pid>-<machine><nonce>`: beside its target, so that the rename stays within one file system,
 * and traceable to a process.
 */
export const temporaryName = (path: string, kind: 'tmp' | 'old' = 'tmp'): string =>
  `${path}.${kind}-${process.pid}-${machineTag()}${randomBytes(3).toString('hex')}`;

/** The parts of a name of `temporaryName`: a leftover, if its process was killed; null for other names. */
export function parseTemporaryName(name: string): TemporaryName | null {
  const [, target, kind, pid, machine] = /^(.+)\.(tmp|old)-(\d+)-([0-9a-f]{6})[0-9a-f]{6}$/.exec(name) ?? [];
  return target === undefined
    ? null
    : { target, kind, pid: Number(pid), isOfMachine: machine === machineTag() };
}

export interface TemporaryName {
  readonly target: string;
  readonly kind: string;
  readonly pid: number;
  /** Whether `pid` is a number of this machine. */
  readonly isOfMachine: boolean;
}

/**
 * Writes a file so that its name always refers to a complete one: temporary file, fsync, rename, fsync of the
 * folder. Pieces are read one at a time.
 *
 * @throws QdyloraError WRITE_FAILED with the system's error as cause. The temporary file is removed; `path` is
 * unchanged, or, if only the last fsync failed, already replaced.
 */
export function writeFileDurably(
  path: string,
  pieces: Iterable<Uint8Array>,
  fs: FileSystem = NODE_FILE_SYSTEM,
): void {
  writeWhole(path, pieces, { fs, isSynced: true });
}

/**
 * Writes a file without fsync, inside a folder that `writeFolderAtomically` fills: there all files are synced
 * together, while they are hashed, before the folder is renamed.
 */
export function writeFileUnsynced(
  path: string,
  pieces: Iterable<Uint8Array>,
  fs: FileSystem = NODE_FILE_SYSTEM,
): void {
  writeWhole(path, pieces, { fs, isSynced: false });
}

/**
 * Writes a file whose pieces arrive or are read during the write; see `FilePieces`.
 *
 * @throws QdyloraError WRITE_FAILED; the error of a piece that cannot be read. No file is left then.
 */
export async function streamFile(
  path: string,
  pieces: FilePieces,
  { fs = NODE_FILE_SYSTEM, isSynced = true }: Partial<WriteOptions> = {},
): Promise<void> {
  const file = temporaryFile(path, { fs, isSynced });
  try {
    file.open();
    for await (const piece of stagedPieces(pieces)) file.write(piece);
    file.commit();
  } catch (cause) {
    throw file.discard(cause);
  }
}

/**
 * Writes bytes at a position of an existing file, for growing files such as logs. Nothing is synced, and a
 * failure may leave a part of the bytes.
 *
 * @param position bytes from the file's start; existing bytes are overwritten
 * @throws QdyloraError WRITE_FAILED with the system's error as cause
 */
export function writeFileAt(
  path: string,
  bytes: Uint8Array,
  position: number,
  fs: FileSystem = NODE_FILE_SYSTEM,
): void {
  try {
    const fd = fs.openSync(path, 'r+');
    try {
      writeAll(fd, bytes, fs, position);
    } finally {
      closeQuietly(fd, fs);
    }
  } catch (cause) {
    throw writeFailed(path, cause);
  }
}

interface WriteOptions {
  readonly fs: FileSystem;
  readonly isSynced: boolean;
}

function writeWhole(path: string, pieces: Iterable<Uint8Array>, options: WriteOptions): void {
  const file = temporaryFile(path, options);
  try {
    file.open();
    for (const piece of pieces) file.write(piece);
    file.commit();
  } catch (cause) {
    throw file.discard(cause);
  }
}

/** A file that is renamed when it is complete. */
interface TemporaryFile {
  open(): void;
  write(bytes: Uint8Array): void;
  /** Closes the file and renames it. */
  commit(): void;
  /** Closes and removes the file; returns the error to throw. */
  discard(cause: unknown): unknown;
}

function temporaryFile(path: string, { fs, isSynced }: WriteOptions): TemporaryFile {
  const temporary = temporaryName(path);
  let fd: number | null = null;
  return {
    open() {
      fd = fs.openSync(temporary, 'wx');
    },
    write(bytes) {
      writeAll(fd!, bytes, fs);
    },
    commit() {
      const open = fd!;
      if (isSynced) fs.fsyncSync(open);
      fd = null; // a failed close also closes it
      fs.closeSync(open);
      fs.renameSync(temporary, path);
      if (isSynced) syncFolder(dirname(path), fs);
    },
    discard(cause) {
      if (fd !== null) closeQuietly(fd, fs);
      removeQuietly(temporary, fs);
      return writeFailed(path, cause);
    },
  };
}

/** Writes all bytes. A write may take fewer bytes than given; a full disk shows only on the next one. */
function writeAll(fd: number, bytes: Uint8Array, fs: FileSystem, position: number | null = null): void {
  for (let done = 0; done < bytes.length;) {
    const wrote = fs.writeSync(
      fd,
      bytes,
      done,
      Math.min(WRITE_PIECE_BYTES, bytes.length - done),
      position === null ? null : position + done,
    );
    if (wrote <= 0) throw Object.assign(new Error('the system took no bytes'), { code: 'EIO' });
    done += wrote;
  }
}

/** Makes a folder's entries durable. Windows cannot open folders, and does not need this. */
export function syncFolder(path: string, fs: FileSystem): void {
  if (process.platform !== 'win32') syncPath(path, fs);
}

/** fsync of a file or folder by name. */
export function syncPath(path: string, fs: FileSystem): void {
  const fd = fs.openSync(path, 'r');
  try {
    fs.fsyncSync(fd);
  } finally {
    closeQuietly(fd, fs);
  }
}

/**
 * fsync in the background, with the system's threads. A failure is a rejection of the returned promise only.
 */
export async function syncPathInBackground(path: string, fs: FileSystem): Promise<void> {
  const fd = fs.openSync(path, 'r');
  try {
    await syncInBackground(fd, fs);
  } finally {
    closeQuietly(fd, fs);
  }
}

/** fsync of an open file in the background. */
export const syncInBackground = (fd: number, fs: FileSystem): Promise<void> =>
  new Promise((resolve, reject) => {
    fs.fsync(fd, (error) => (error ? reject(error) : resolve()));
  });

export function closeQuietly(fd: number, fs: FileSystem): void {
  try {
    fs.closeSync(fd);
  } catch {
    /* the first error is the one to tell */
  }
}

/** Removes a file or folder of ours, if it exists. */
export function removeQuietly(path: string, fs: FileSystem): void {
  try {
    fs.rmSync(path, { recursive: true, force: true });
  } catch {
    /* an orphan stays; cleanOrphans finds it */
  }
}
