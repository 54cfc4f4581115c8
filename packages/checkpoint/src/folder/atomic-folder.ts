import { realpathSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import {
  assertArgument,
  checkOptions,
  objectWith,
  QdyloraError,
  shownValue,
  trueOrFalse,
  type OptionRules,
} from '@qdylora/contract';
import { assertCanCreate, createFolder } from './create-folder.ts';
import { MANIFEST_FILE, syncAndMakeManifest, validateFolder, type FileRecord } from './manifest.ts';
import { canonicalJson } from '../write/canonical-json.ts';
import { NODE_FILE_SYSTEM, type FileSystem } from '../write/file-system.ts';
import { folderFiles, type FolderFiles } from './folder-files.ts';
import { someFileSystem } from '../write/option-rules.ts';
import { isRunning } from './is-running.ts';
import { writeFailed } from '../write/write-failed.ts';
import { writeFileDurably } from '../write/write-file-durably.ts';
import { parseTemporaryName, temporaryName, type TemporaryName } from '../write/temporary-name.ts';
import { removeQuietly } from '../write/remove-quietly.ts';
import { syncFolder } from '../write/sync-path.ts';

/** Options of `writeFolderAtomically`: whether it may replace a folder, and which hashes it reuses. */
export interface WriteFolderOptions {
  /** Replaces a folder that this function has written before. Any other non-empty folder is never touched. */
  readonly replace?: boolean;
  /** Size and hash of files that were hashed while they were written; filled by `write`. */
  readonly known?: ReadonlyMap<string, FileRecord>;
  /** Default: `NODE_FILE_SYSTEM`. */
  readonly fs?: FileSystem;
}

const RULES: OptionRules<WriteFolderOptions> = {
  replace: trueOrFalse,
  known: objectWith('get'),
  fs: someFileSystem,
};

/**
 * Fills the folder `temporary`, directly or, for large files, through `files`, which hashes bytes while
 * writing them.
 */
export type FillFolder = (temporary: string, files: FolderFiles) => Promise<void> | void;

/**
 * Lets `write` fill a temporary folder, then renames it to `path`. Every file and folder is synced first;
 * `manifest.json` with sizes and SHA-256 is written last. If `path` is a link, the folder behind it is
 * replaced. Temporary folders of `path` from ended processes of this machine are removed first. After a
 * crash at any moment `path` is absent, the old folder, or the new folder, and never incomplete. Between
 * the two renames of a replacement it is absent, and `cleanOrphans` restores the old one (after a
 * restart of the machine with `isAlone` only).
 *
 * @throws QdyloraError NOT_EMPTY if `path` holds something else; WRITE_FAILED on a disk error: `path` is
 * unchanged, or, if only the last fsync failed, already replaced; any error of `write`.
 */
export async function writeFolderAtomically(
  path: string,
  write: FillFolder,
  options: WriteFolderOptions = {},
): Promise<void> {
  assertArgument(
    typeof path === 'string' && typeof write === 'function',
    'atomic-folder',
    'The arguments must be the path of a folder and a function that fills it (got ' +
      `${shownValue(path)} and ${shownValue(write)})`,
  );
  checkOptions('atomic-folder', options, RULES);
  const { replace = false, known, fs = NODE_FILE_SYSTEM } = options;
  const target = realFolder(path, fs);
  const parent = dirname(target);
  const temporary = temporaryName(target);
  const files = folderFiles(temporary, fs);
  try {
    assertFree(target, { replace, fs });
    removeAbandoned(target, fs);
    const firstMade = createFolder(parent, fs);
    fs.mkdirSync(temporary);
    await write(temporary, files);
    await files.settled();
    await seal(temporary, fs, new Map([...(known ?? []), ...files.records]));
    assertFree(target, { replace, fs }); // it may have come meanwhile
    moveInto(temporary, target, fs);
    for (let at = parent; ; at = dirname(at)) {
      // up to the parent of the first new folder
      syncFolder(at, fs);
      if (firstMade === undefined || at === dirname(firstMade) || at === dirname(at)) break;
    }
  } catch (cause) {
    await files.settled().catch(() => {}); // the first error is the one to report
    removeQuietly(temporary, fs);
    throw writeFailed(path, cause);
  }
}

/**
 * Runs the checks of `writeFolderAtomically` early, before long work.
 *
 * @throws QdyloraError NOT_EMPTY if `path` holds something else; WRITE_FAILED if it cannot be created
 */
export function assertNewFolder(
  path: string,
  { replace = false, fs = NODE_FILE_SYSTEM }: Pick<WriteFolderOptions, 'replace' | 'fs'> = {},
): void {
  const target = realFolder(path, fs);
  assertFree(target, { replace, fs });
  assertCanCreate(target, fs);
}

/** @throws QdyloraError NOT_EMPTY */
function assertFree(
  target: string,
  { replace, fs }: { readonly replace: boolean; readonly fs: FileSystem },
): void {
  if (!fs.existsSync(target)) return;
  const isFolder = fs.lstatSync(target).isDirectory();
  const entries = isFolder ? fs.readdirSync(target) : [];
  if (isFolder && entries.length === 0) return;
  const isOurs = entries.includes(MANIFEST_FILE);
  if (replace && isOurs) return;
  throw new QdyloraError('NOT_EMPTY', {
    where: 'folder',
    problem: isFolder
      ? `${target} already exists and is not empty (${entries.length} entries).`
      : `${target} already exists and is a file.`,
    details: { path: target },
    nextStep: isOurs
      ? 'Choose another folder, or remove this one first.'
      : 'Choose another folder: this one has no manifest.json of a finished result, so it is left alone.',
  });
}

/**
 * The absolute path of a folder; for a link, that of the folder behind it.
 *
 * @throws QdyloraError NOT_EMPTY for a link to nothing
 */
export function realFolder(path: string, fs: FileSystem = NODE_FILE_SYSTEM): string {
  const absolute = resolve(path);
  if (!isLink(absolute, fs)) return absolute;
  if (fs.existsSync(absolute)) return realpathSync(absolute);
  throw new QdyloraError('NOT_EMPTY', {
    where: 'folder',
    problem: `${absolute} is a link to a folder that does not exist.`,
    details: { path: absolute },
    nextStep: 'Create that folder, remove the link, or choose another folder.',
  });
}

function isLink(path: string, fs: FileSystem): boolean {
  try {
    return fs.lstatSync(path).isSymbolicLink();
  } catch {
    return false; // nothing is there, or nobody may look
  }
}

/**
 * Removes temporary folders of `target` whose process on this machine has ended. Process numbers of another
 * machine are meaningless here, so its folders are kept. A folder that cannot be removed is skipped.
 */
function removeAbandoned(target: string, fs: FileSystem): void {
  const startedAt = startOfProcess();
  for (const { kind, target: name, isOfMachine, pid, path } of leftoversIn(dirname(target), fs)) {
    if (kind !== 'tmp' || name !== basename(target) || !isOfMachine) continue;
    if (isAbandoned(pid, path, startedAt, fs)) removeQuietly(path, fs);
  }
}

/** Temporary files and folders, in the order of their names. */
function* leftoversIn(
  parent: string,
  fs: FileSystem,
): Generator<TemporaryName & { readonly name: string; readonly path: string }> {
  for (const name of fs.existsSync(parent) ? fs.readdirSync(parent).sort() : []) {
    const leftover = parseTemporaryName(name);
    if (leftover) yield { ...leftover, name, path: join(parent, name) };
  }
}

/** Syncs and hashes the files, syncs the folders, then writes the manifest. */
async function seal(folder: string, fs: FileSystem, known?: ReadonlyMap<string, FileRecord>): Promise<void> {
  const manifest = await syncAndMakeManifest(folder, fs, known);
  const folders = new Set<string>();
  for (const name of Object.keys(manifest.files))
    for (let at = dirname(name); at !== '.'; at = dirname(at)) folders.add(at);
  for (const inner of [...folders].sort().reverse()) syncFolder(join(folder, inner), fs);
  syncFolder(folder, fs);
  writeFileDurably(join(folder, MANIFEST_FILE), [Buffer.from(canonicalJson(manifest))], fs);
}

function moveInto(temporary: string, target: string, fs: FileSystem): void {
  const isReplacement = fs.existsSync(target) && fs.readdirSync(target).length > 0;
  if (!isReplacement) {
    fs.renameSync(temporary, target);
    return;
  } // an empty folder is replaced
  const old = temporaryName(target, 'old');
  fs.renameSync(target, old);
  try {
    fs.renameSync(temporary, target);
  } catch (cause) {
    fs.renameSync(old, target);
    throw cause;
  }
  syncFolder(dirname(target), fs); // the new one is durable before the old one is removed
  removeQuietly(old, fs);
}

/**
 * Removes one of our folders atomically: it is renamed to a temporary name first, so after a crash at any
 * moment it is complete or gone, and `cleanOrphans` removes the rest.
 *
 * @throws errors of the file system; the folder is then complete, or gone
 */
export function discardFolder(path: string, fs: FileSystem = NODE_FILE_SYSTEM): void {
  const target = resolve(path);
  const doomed = temporaryName(target);
  fs.renameSync(target, doomed);
  syncFolder(dirname(target), fs);
  fs.rmSync(doomed, { recursive: true, force: true });
}

/** Options of `cleanOrphans`: how it decides that the process of a leftover has ended. */
export interface CleanOrphansOptions {
  /**
   * Leftovers with this process's own number are kept if they changed at or after this time, in milliseconds
   * since 1970. Default: the start of this process.
   */
  readonly startedAt?: number;
  /**
   * True if the caller holds a lock, so that no other process writes here: every leftover is removed, even if
   * its process number now belongs to another process.
   */
  readonly isAlone?: boolean;
  /** Default: `NODE_FILE_SYSTEM`. */
  readonly fs?: FileSystem;
}

/** What was done; names are relative to the parent. */
export interface CleanedOrphans {
  readonly removed: readonly string[];
  readonly restored: readonly string[];
}

/**
 * Removes temporary files and folders that a crash left in `parent`. An old folder that was being replaced is
 * restored if the new one is missing.
 *
 * A leftover belongs to the process in its name. It is removed if that process has ended, or if the number is
 * our own and the leftover is older than this process (in a container every run may have the same number).
 * A leftover of another machine, or of this one before its last start, is kept unless `isAlone`.
 *
 * @throws QdyloraError WRITE_FAILED if the folder cannot be read or changed
 */
export function cleanOrphans(
  parent: string,
  { startedAt = startOfProcess(), isAlone = false, fs = NODE_FILE_SYSTEM }: CleanOrphansOptions = {},
): CleanedOrphans {
  const removed: string[] = [];
  const restored: string[] = [];
  try {
    clean(parent, { startedAt, isAlone, fs }, { removed, restored });
  } catch (cause) {
    throw writeFailed(parent, cause);
  }
  return { removed, restored };
}

function clean(
  parent: string,
  { startedAt, isAlone, fs }: Required<CleanOrphansOptions>,
  { removed, restored }: { readonly removed: string[]; readonly restored: string[] },
): void {
  for (const { name, path, target, kind, pid, isOfMachine } of leftoversIn(parent, fs)) {
    if (!isAlone && !(isOfMachine && isAbandoned(pid, path, startedAt, fs))) continue;
    if (kind === 'old' && !fs.existsSync(join(parent, target)) && validateFolder(path, fs).isValid) {
      fs.renameSync(path, join(parent, target));
      restored.push(target);
    } else {
      fs.rmSync(path, { recursive: true, force: true });
      removed.push(name);
    }
  }
  if (removed.length + restored.length > 0) syncFolder(parent, fs);
}

/** Milliseconds since 1970. */
const startOfProcess = (): number => Date.now() - process.uptime() * 1000;

function isAbandoned(pid: number, path: string, startedAt: number, fs: FileSystem): boolean {
  return pid === process.pid ? fs.lstatSync(path).mtimeMs < startedAt : !isRunning(pid);
}
