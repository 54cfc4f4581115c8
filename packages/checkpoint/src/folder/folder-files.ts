import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { FileRecord } from './manifest.ts';
import type { FileSystem } from '../write/file-system.ts';
import { STAGING_BYTES, type FilePieces } from '../write/readable-bytes.ts';
import { closeQuietly } from '../write/close-quietly.ts';
import { syncInBackground } from '../write/sync-path.ts';
import { tookNoBytes } from '../write/write-all.ts';

/** Shorter bytes are copied and written together: that takes less time than a call of the system for them. */
const LEAST_VIEW_BYTES = 2 ** 16;
/** Bytes after which the disk is told to start writing, so that little is left to wait for at the end. */
const SYNC_BYTES = 2 ** 23;

/**
 * New files of a folder that is renamed later. Each is hashed while the system's threads write and sync it.
 */
export interface FolderFiles {
  /**
   * Writes a file that does not exist yet. Resolves when the system has all bytes; the disk may still be
   * writing them.
   *
   * @param pieces the file's bytes in order. A piece may be reused when the next one is requested.
   * @throws the file system's error, or the error of a piece that cannot be read
   */
  write(name: string, pieces: FilePieces): Promise<void>;
}

export interface FolderFilesOptions {
  /** Bytes per system call; they are hashed while the call runs. */
  readonly batchBytes?: number;
  readonly syncBytes?: number;
}

/** The interface for the owner, who completes the files before the folder is renamed. */
export interface OwnedFolderFiles extends FolderFiles {
  /** Size and hash of every file written. */
  readonly records: ReadonlyMap<string, FileRecord>;
  /** Resolves when every file is durable and closed. @throws the first failed sync */
  settled(): Promise<void>;
}

export function folderFiles(
  folder: string,
  fs: FileSystem,
  { batchBytes = STAGING_BYTES, syncBytes = SYNC_BYTES }: FolderFilesOptions = {},
): OwnedFolderFiles {
  const records = new Map<string, FileRecord>();
  const closing: Promise<void>[] = [];
  return {
    records,
    async write(name, pieces) {
      const fd = fs.openSync(join(folder, name), 'wx');
      const hash = createHash('sha256');
      const syncs: Promise<void>[] = [];
      let size = 0;
      let synced = 0;
      let isSyncing = false;
      const sync = (): void => {
        [synced, isSyncing] = [size, true];
        syncs.push(
          syncInBackground(fd, fs).finally(() => {
            isSyncing = false;
          }),
        );
      };
      try {
        for await (const batch of batchesOf(pieces, batchBytes)) {
          const writing = writeAll(fd, batch, { position: size, fs });
          for (const piece of batch) {
            hash.update(piece);
            size += piece.length;
          }
          await writing;
          if (size - synced >= syncBytes && !isSyncing) sync(); // one at a time: Node has few threads
        }
        sync();
        records.set(name, { size, sha256: hash.digest('hex') });
      } finally {
        closing.push(
          Promise.all(syncs)
            .then(() => {})
            .finally(async () => {
              await Promise.allSettled(syncs);
              closeQuietly(fd, fs);
            }),
        );
        closing.at(-1)!.catch(() => {}); // reported by `settled`
      }
    },
    async settled() {
      await Promise.allSettled(closing);
      await Promise.all(closing);
    },
  };
}

/**
 * All bytes in order, in lists of at most `batchBytes`, each of which is written before the next is
 * requested. Long parts of bytes in memory are views, the last of their list; the rest is copied or read
 * into one buffer. So no list holds a view of a piece when the next piece is requested.
 */
async function* batchesOf(pieces: FilePieces, batchBytes: number): AsyncGenerator<Uint8Array[]> {
  const leastViewBytes = Math.min(LEAST_VIEW_BYTES, batchBytes);
  let staging: Uint8Array | null = null;
  let staged = 0;
  for await (const piece of pieces) {
    for (let done = 0; done < piece.byteLength;) {
      const end = Math.min(piece.byteLength, done + batchBytes - staged);
      if (piece instanceof Uint8Array && end - done >= leastViewBytes) {
        const view = piece.subarray(done, end);
        yield staging && staged > 0 ? [staging.subarray(0, staged), view] : [view];
        staged = 0;
      } else {
        staging ??= new Uint8Array(batchBytes);
        const part = staging.subarray(staged, staged + end - done);
        if (piece instanceof Uint8Array) part.set(piece.subarray(done, end));
        else await piece.read(part, done);
        staged += part.length;
        if (staged === batchBytes) {
          yield [staging];
          staged = 0;
        }
      }
      done = end;
    }
  }
  if (staging && staged > 0) yield [staging.subarray(0, staged)];
}

/** Writes all bytes. A write may take fewer bytes than given; a full disk shows only on the next one. */
async function writeAll(
  fd: number,
  batch: readonly Uint8Array[],
  { position, fs }: { readonly position: number; readonly fs: FileSystem },
): Promise<void> {
  for (let left = batch, at = position; left.length > 0;) {
    const wrote = await new Promise<number>((resolve, reject) => {
      fs.writev(fd, left, at, (error, count) => (error ? reject(error) : resolve(count)));
    });
    if (wrote <= 0) throw tookNoBytes();
    left = behind(left, wrote);
    at += wrote;
  }
}

/** The rest of a list after its first `count` bytes. */
function behind(list: readonly Uint8Array[], count: number): readonly Uint8Array[] {
  let rest = count;
  const first = list.findIndex((piece) => (rest < piece.length ? true : ((rest -= piece.length), false)));
  return first < 0 ? [] : [list[first].subarray(rest), ...list.slice(first + 1)];
}
