import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, linkSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import {
  canonicalJson,
  openSafetensors,
  parseTemporaryName,
  writeFileDurably,
  streamSafetensors,
  type FileRecord,
  type TensorToStream,
  type WriteBlocks,
} from '@qdylora/checkpoint';
import { QdyloraError } from '@qdylora/contract';
import { LOCK_FILE, lockFolder } from '@qdylora/trainer';
import { besideFolder } from '../run-folder/beside-folder.ts';

/**
 * Finished shards of a model that is being written, in a folder beside its place, so that an interrupted run
 * continues with the next one.
 */
export interface ShardWork {
  readonly folder: string;
  has(index: number): boolean;
  /** Writes one shard, all or nothing, while the caller goes on. */
  write(index: number, tensors: readonly TensorToStream[], blocks: WriteBlocks): Promise<void>;
  /**
   * Links all shards into the folder of a model under Hugging Face's names (copies them where there are no
   * links), and writes their index. Adds the hashes that were computed while writing to `records`.
   *
   * @returns bytes of their tensors
   */
  linkInto(folder: string, records: Map<string, FileRecord>): number;
  remove(): void;
  /** Lets other processes work on it. */
  [Symbol.dispose](): void;
}

const IDENTITY_FILE = 'work.json';
const digits = (n: number): string => String(n).padStart(5, '0');
const shardName = (index: number): string => `shard-${digits(index)}.safetensors`;

/**
 * Opens or creates the work folder `<outputDir>.partial`. A folder of other weights or settings is started
 * over.
 *
 * @param identity everything that decides the bytes of the shards
 * @throws QdyloraError NOT_EMPTY where the folder holds something else; BUSY_FOLDER where another process
 * works on it; WRITE_FAILED
 */
export function shardWork(outputDir: string, identity: unknown, count: number): ShardWork {
  const folder = besideFolder(outputDir, '.partial');
  const hash = createHash('sha256').update(canonicalJson({ identity, count })).digest('hex');
  const lock = lockFolder(folder);
  try {
    clearOther(folder, hash);
    writeFileDurably(join(folder, IDENTITY_FILE), [Buffer.from(canonicalJson({ identity: hash }))]);
  } catch (error) {
    lock.release();
    throw error;
  }
  const writtenRecords = new Map<number, FileRecord>();
  const path = (index: number): string => join(folder, shardName(index));
  return {
    folder,
    has: (index) => existsSync(path(index)), // it got its name when it was whole
    async write(index, tensors, blocks) {
      writtenRecords.set(
        index,
        await streamSafetensors(path(index), tensors, { metadata: { format: 'pt' }, blocks }),
      );
    },
    linkInto(target, records) {
      const weightMap: Record<string, string> = Object.create(null) as Record<string, string>;
      let bytes = 0;
      for (let index = 0; index < count; index++) {
        const name =
          count === 1 ? 'model.safetensors' : `model-${digits(index + 1)}-of-${digits(count)}.safetensors`;
        linkOrCopy(path(index), join(target, name));
        if (writtenRecords.has(index)) records.set(name, writtenRecords.get(index)!);
        using file = openSafetensors(path(index));
        for (const [tensor, { byteLength }] of file.tensors) {
          weightMap[tensor] = name;
          bytes += byteLength;
        }
      }
      if (count > 1)
        writeFileDurably(join(target, 'model.safetensors.index.json'), [
          Buffer.from(canonicalJson({ metadata: { total_size: bytes }, weight_map: weightMap })),
        ]);
      return bytes;
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
    [Symbol.dispose]: lock.release,
  };
}

/** Empties a folder of other work. @throws QdyloraError NOT_EMPTY where it holds something else */
function clearOther(folder: string, hash: string): void {
  const identity = identityIn(folder);
  if (identity === hash) return;
  const names = readdirSync(folder).filter((name) => name !== LOCK_FILE);
  if (identity === null && names.some((name) => parseTemporaryName(name) === null))
    throw new QdyloraError('NOT_EMPTY', {
      where: 'output_dir',
      problem: `${folder} exists, and is not an unfinished model.`,
      nextStep: 'Choose another output_dir, or move that folder away.',
      details: { path: folder },
    });
  for (const name of names) rmSync(join(folder, name), { recursive: true });
}

function identityIn(folder: string): string | null {
  try {
    const { identity } = JSON.parse(readFileSync(join(folder, IDENTITY_FILE), 'utf8')) as {
      identity?: unknown;
    };
    return typeof identity === 'string' ? identity : null;
  } catch {
    return null;
  }
}

/** Links the file, which costs nothing; copies it where the file system has no links. */
function linkOrCopy(from: string, to: string): void {
  try {
    linkSync(from, to);
  } catch {
    copyFileSync(from, to);
  }
}

/** Sizes and times of the weight files: enough to see a change without reading them. */
export function weightFileStats(path: string): unknown {
  const names = statSync(path).isDirectory()
    ? readdirSync(path)
        .filter((name) => /\.(safetensors|gguf)$/.test(name))
        .sort()
    : [''];
  return names.map((name) => {
    const { size, mtimeMs } = statSync(join(path, name));
    return [name, size, mtimeMs];
  });
}
