import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { QdyloraError } from '@qdylora/contract';
import { isRecord } from '../json/is-record.ts';
import { pathInside } from '../path-inside.ts';
import { NODE_FILE_SYSTEM, type FileSystem } from '../write/file-system.ts';
import { syncPathInBackground } from '../write/sync-path.ts';

/** The file that is written last: if it exists, all other files were complete. */
export const MANIFEST_FILE = 'manifest.json';

/** Version of the manifest itself. */
const MANIFEST_VERSION = 1;

const FORMAT = 'qdylora-folder';

/** The size and hash of one file of a folder, as its manifest lists them. */
export interface FileRecord {
  /** In bytes. */
  readonly size: number;
  /** In lowercase hexadecimal digits. */
  readonly sha256: string;
}

/** `manifest.json`: size and hash of every other file of the folder, by relative path with `/`. */
export interface Manifest {
  readonly format: typeof FORMAT;
  readonly version: number;
  readonly files: Readonly<Record<string, FileRecord>>;
}

/** Why a folder is incomplete. */
export type FolderDamage =
  'no-folder' | 'no-manifest' | 'bad-manifest' | 'missing-file' | 'wrong-size' | 'wrong-hash';

/** The result of `validateFolder`: the manifest of an intact folder, or the first damage found. */
export type FolderState =
  | { readonly isValid: true; readonly manifest: Manifest }
  | {
      readonly isValid: false;
      readonly reason: FolderDamage;
      /** Path of the damaged file within the folder; absent if the folder or its manifest is missing. */
      readonly file?: string;
      readonly problem: string;
    };

/**
 * Creates the manifest of a folder, and makes every file durable: the disk writes a file while it is hashed.
 * `known`: files that were hashed while they were written. Links and devices are refused.
 */
export async function syncAndMakeManifest(
  folder: string,
  fs: FileSystem,
  known: ReadonlyMap<string, FileRecord> = new Map(),
): Promise<Manifest> {
  const files: Record<string, FileRecord> = Object.create(null) as Record<string, FileRecord>;
  for (const name of filesBelow(folder, fs)) {
    const path = join(folder, name);
    const [synced, record] = await Promise.allSettled([
      syncPathInBackground(path, fs),
      Promise.resolve().then(() => knownRecord(path, known.get(name), fs) ?? hashFile(path, fs)),
    ]);
    if (synced.status === 'rejected') throw synced.reason;
    if (record.status === 'rejected') throw record.reason;
    if (name !== MANIFEST_FILE) files[name] = record.value;
  }
  return { format: FORMAT, version: MANIFEST_VERSION, files };
}

/** The known record of a file, if it still has that size. */
const knownRecord = (path: string, known: FileRecord | undefined, fs: FileSystem): FileRecord | undefined =>
  known && fs.lstatSync(path).size === known.size ? known : undefined;

/**
 * Paths of all files below `folder`, with `/`, sorted. @throws QdyloraError BAD_ARGUMENT for anything but
 * files and folders.
 */
function filesBelow(folder: string, fs: FileSystem, prefix = ''): string[] {
  const found: string[] = [];
  for (const entry of fs.readdirSync(join(folder, prefix), { withFileTypes: true })) {
    const name = prefix ? `${prefix}/${entry.name}` : entry.name;
    if (entry.isDirectory()) found.push(...filesBelow(folder, fs, name));
    else if (entry.isFile()) found.push(name);
    else
      throw new QdyloraError('BAD_ARGUMENT', {
        where: 'folder',
        problem: `${folder} holds ${name}, which is neither a file nor a folder.`,
        nextStep: 'Write a file instead of a link.',
      });
  }
  return found.sort();
}

/**
 * Checks a folder against its manifest: every file is present and has the right size and hash. Files outside
 * the manifest are ignored. Sizes are compared first, so most damage is found without reading files.
 */
export function validateFolder(path: string, fs: FileSystem = NODE_FILE_SYSTEM): FolderState {
  const damaged = (reason: FolderDamage, problem: string, file?: string): FolderState => ({
    isValid: false,
    reason,
    file,
    problem,
  });
  if (!fs.existsSync(path)) return damaged('no-folder', `There is no folder at ${path}`);
  const text = readText(join(path, MANIFEST_FILE), fs);
  if (text === null) return damaged('no-manifest', `There is no ${MANIFEST_FILE} in ${path}`);
  const manifest = parseManifest(text);
  if (!manifest)
    return damaged('bad-manifest', `The manifest of ${path} ${manifestProblem(text)}`, MANIFEST_FILE);

  const paths = new Map<string, string>();
  for (const name of Object.keys(manifest.files)) {
    try {
      paths.set(name, pathInside(path, name, 'folder'));
    } catch {
      return damaged(
        'bad-manifest',
        `The manifest of ${path} names ${JSON.stringify(name.slice(0, 200))}, which is not inside ` +
          'the folder',
        MANIFEST_FILE,
      );
    }
  }
  for (const [name, at] of paths) {
    const size = sizeOf(at, fs);
    const expected = manifest.files[name].size;
    if (size === null) return damaged('missing-file', `There is no file ${name} in ${path}`, name);
    if (size !== expected)
      return damaged('wrong-size', `${name} in ${path} has ${size} bytes instead of ${expected}`, name);
  }
  for (const [name, at] of paths) {
    const problem = wrongHash(at, manifest.files[name], fs);
    if (problem !== null) return damaged('wrong-hash', `${name} in ${path} has ${problem}`, name);
  }
  return { isValid: true, manifest };
}

/**
 * How the content of a file differs from the hash in the manifest of its folder, in words. Null where it is
 * the same, or where the folder has no manifest of ours that names the file.
 */
export function changedContent(
  folder: string,
  name: string,
  fs: FileSystem = NODE_FILE_SYSTEM,
): string | null {
  const text = readText(join(folder, MANIFEST_FILE), fs);
  const record = text === null ? undefined : parseManifest(text)?.files[name];
  return record ? wrongHash(join(folder, name), record, fs) : null;
}

/** Why the manifest of a folder cannot be read, in words. Null where it can be, or where there is none. */
export function manifestDamage(folder: string, fs: FileSystem = NODE_FILE_SYSTEM): string | null {
  const text = readText(join(folder, MANIFEST_FILE), fs);
  return text === null || parseManifest(text) ? null : manifestProblem(text);
}

function wrongHash(path: string, { sha256 }: FileRecord, fs: FileSystem): string | null {
  const got = tryOr(() => hashFile(path, fs).sha256, 'an unreadable file');
  return got === sha256 ? null : `SHA-256 ${got} instead of ${sha256}`;
}

function parseManifest(text: string): Manifest | null {
  const value = tryOr<unknown>(() => JSON.parse(text), null);
  if (
    !isRecord(value) ||
    value.format !== FORMAT ||
    value.version !== MANIFEST_VERSION ||
    !isRecord(value.files)
  )
    return null;
  const isRecordOfFile = (file: unknown): boolean =>
    isRecord(file) && Number.isSafeInteger(file.size) && typeof file.sha256 === 'string';
  return Object.values(value.files).every(isRecordOfFile) ? (value as unknown as Manifest) : null;
}

/** Why a manifest cannot be read. */
function manifestProblem(text: string): string {
  const value = tryOr<unknown>(() => JSON.parse(text), null);
  return isRecord(value) && value.format === FORMAT && value.version !== MANIFEST_VERSION
    ? `has version ${String(value.version)}, but only version ${MANIFEST_VERSION} is supported`
    : 'is damaged or was written by another program';
}

const HASH_PIECE_BYTES = 2 ** 20;

function hashFile(path: string, fs: FileSystem): FileRecord {
  const hash = createHash('sha256');
  const piece = new Uint8Array(Math.min(HASH_PIECE_BYTES, fs.lstatSync(path).size + 1));
  const fd = fs.openSync(path, 'r');
  try {
    let size = 0;
    for (;;) {
      const got = fs.readSync(fd, piece, 0, piece.length, size);
      if (got === 0) return { size, sha256: hash.digest('hex') };
      hash.update(piece.subarray(0, got));
      size += got;
    }
  } finally {
    fs.closeSync(fd);
  }
}

const readText = (path: string, fs: FileSystem): string | null =>
  tryOr(() => fs.readFileSync(path, 'utf8'), null);

function sizeOf(path: string, fs: FileSystem): number | null {
  const stats = tryOr(() => fs.lstatSync(path), null);
  return stats?.isFile() ? stats.size : null;
}

function tryOr<T>(run: () => T, otherwise: T): T {
  try {
    return run();
  } catch {
    return otherwise;
  }
}
