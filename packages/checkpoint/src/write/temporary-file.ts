import { dirname } from 'node:path';
import { closeQuietly } from './close-quietly.ts';
import type { FileSystem } from './file-system.ts';
import { removeQuietly } from './remove-quietly.ts';
import { syncFolder } from './sync-path.ts';
import { temporaryName } from './temporary-name.ts';
import { writeAll } from './write-all.ts';
import { writeFailed } from './write-failed.ts';

export interface WriteOptions {
  readonly fs: FileSystem;
  readonly isSynced: boolean;
}

/** A file that is renamed when it is complete. */
export interface TemporaryFile {
  open(): void;
  write(bytes: Uint8Array): void;
  /** Closes the file and renames it. */
  commit(): void;
  /** Closes and removes the file; returns the error to throw. */
  discard(cause: unknown): unknown;
}

export function temporaryFile(path: string, { fs, isSynced }: WriteOptions): TemporaryFile {
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
