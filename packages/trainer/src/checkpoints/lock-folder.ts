import { randomInt, randomUUID } from 'node:crypto';
import * as nodeFs from 'node:fs';
import { hostname } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { isRunning, parseTemporaryName, temporaryName } from '@qdylora/checkpoint';
import { QdyloraError } from '@qdylora/contract';
import { makeFolder } from '../make-folder.ts';

/** The file in a run's folder that names the process which writes there. */
export const LOCK_FILE = 'lock.json';

/**
 * Identifies a process beyond its pid, which the system may reuse. A field is null if the system does not
 * report it.
 */
export interface ProcessIdentity {
  readonly pid: number;
  readonly host: string;
  readonly bootId: string | null;
  readonly startTime: string | null;
}

/** The lock of a folder, as `lockFolder` returns it. */
export interface FolderLock {
  /** A sentence about the older lock that was taken over; null without one. */
  readonly tookOver: string | null;
  /**
   * Removes the lock if it is still this process's. Also removes the folder if the lock created it and it is
   * empty, so that a refused run leaves no trace.
   */
  release(): void;
}

/** The calls that take a lock: an argument, so that a test can interrupt them or make them fail. */
export type LockFileSystem = Pick<
  typeof nodeFs,
  'existsSync' | 'linkSync' | 'readdirSync' | 'readFileSync' | 'renameSync' | 'rmSync' | 'writeFileSync'
>;

/**
 * Processes that claim a folder at the same time all withdraw and try again, each after its own random wait
 * of less than 2^attempt · 4 ms: 120 ms in all, many times as long as an attempt.
 */
const MAX_ATTEMPTS = 5;

/**
 * Makes this process the only one that writes checkpoints into `folder`. It takes over the lock of a process
 * that has ended.
 *
 * @throws QdyloraError BUSY_FOLDER if the holder of the lock runs, or may run on another machine;
 * WRITE_FAILED.
 * @example
 * const lock = lockFolder('runs/first');
 * try { … } finally { lock.release(); }
 */
export const lockFolder = (folder: string, self: ProcessIdentity = thisProcess()): FolderLock =>
  lockFolderOn(nodeFs, folder, self);

/** `lockFolder` with the calls of a file system. */
export function lockFolderOn(
  fs: LockFileSystem,
  folder: string,
  self: ProcessIdentity = thisProcess(),
): FolderLock {
  const unmake = makeFolder(folder);
  try {
    return takeLock(folder, { self, fs, unmake });
  } catch (error) {
    unmake();
    throw error;
  }
}

/** Who takes a lock, and how. */
interface Locker {
  readonly self: ProcessIdentity;
  readonly fs: LockFileSystem;
  /** Removes the folder if the lock created it. */
  readonly unmake: () => void;
}

function takeLock(folder: string, { self, fs, unmake }: Locker): FolderLock {
  const path = join(folder, LOCK_FILE);
  const lockText = JSON.stringify({
    pid: self.pid,
    host: self.host,
    boot_id: self.bootId,
    start_time: self.startTime,
    nonce: randomUUID(),
  });
  const release = (): void => {
    if (readText(path) === lockText) fs.rmSync(path, { force: true });
    unmake();
  };
  let rival: string | null = null;
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    if (attempt > 0) sleep(randomInt(2 ** attempt * 4));
    const outcome = claimLock(path, lockText, { self, fs });
    if (outcome.isTaken) return { tookOver: outcome.tookOver, release };
    rival = outcome.rival;
  }
  throw busy(rival ?? path, identityOf(readText(rival ?? path) ?? ''));
}

type Outcome =
  | { readonly isTaken: true; readonly tookOver: string | null }
  | { readonly isTaken: false; readonly rival: string | null };

/**
 * One attempt to take the lock. The lock is first a claim: a file with a temporary name, which becomes the
 * lock by a link or a rename, so that it appears with its full content. A process goes on only if it finds no
 * other claim and then no lock of a running process. Of two processes at least one finds the claim of the
 * other, or the lock that it became, so both never hold the lock, on file systems without hard links too.
 *
 * @throws QdyloraError BUSY_FOLDER, WRITE_FAILED
 */
function claimLock(path: string, lockText: string, { self, fs }: Omit<Locker, 'unmake'>): Outcome {
  const claim = temporaryName(path);
  try {
    fs.writeFileSync(claim, lockText, { flag: 'wx' });
    const rival = rivalOf(claim, path, { self, fs });
    const found = lockTextAt(path, fs);
    const holder = found === null ? null : identityOf(found);
    if (holder && mayBeRunning(holder, self)) throw busy(path, holder);
    // a holder that has released the lock since may have removed the claim as a leftover
    const isFree = rival === null && fs.existsSync(claim);
    if (!isFree || !publish(claim, path, { isNew: found === null, fs })) return { isTaken: false, rival };
    return { isTaken: true, tookOver: found === null ? null : takenOver(holder) };
  } catch (error) {
    throw QdyloraError.isInstance(error) ? error : writeFailed(path, error);
  } finally {
    fs.rmSync(claim, { force: true });
  }
}

const takenOver = (holder: ProcessIdentity | null): string =>
  holder
    ? `took over the lock of process ${holder.pid}, which is gone`
    : 'took over a lock that nobody can read';

/** The path of another claim whose process may be running; null without one. */
function rivalOf(claim: string, path: string, { self, fs }: Omit<Locker, 'unmake'>): string | null {
  const folder = dirname(path);
  const rival = fs.readdirSync(folder).find((name) => {
    const parts = parseTemporaryName(name);
    if (parts?.target !== LOCK_FILE || name === basename(claim)) return false;
    const text = lockTextAt(join(folder, name), fs);
    if (text === null) return false; // withdrawn, or it has become the lock
    const identity = identityOf(text);
    if (identity) return mayBeRunning(identity, self);
    return !parts.isOfMachine || isRunning(parts.pid); // not fully written yet
  });
  return rival === undefined ? null : join(folder, rival);
}

/**
 * Turns a claim into the lock. A link refuses to replace a lock that another machine has created since, which
 * a listing of a network folder may show late.
 *
 * @returns false if there is a lock by now, or the claim is gone
 */
function publish(
  claim: string,
  path: string,
  { isNew, fs }: { readonly isNew: boolean; readonly fs: LockFileSystem },
): boolean {
  try {
    if (!isNew || !linked(claim, path, fs)) fs.renameSync(claim, path);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST' || code === 'ENOENT') return false;
    throw error;
  }
}

/** Codes of `link` on a file system without hard links. */
const NO_LINKS: readonly (string | undefined)[] = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'];

/** Links a file; false if the file system has no hard links. */
function linked(from: string, to: string, fs: LockFileSystem): boolean {
  try {
    fs.linkSync(from, to);
    return true;
  } catch (error) {
    if (NO_LINKS.includes((error as NodeJS.ErrnoException).code)) return false;
    throw error;
  }
}

/** Blocks the thread, as all calls of a lock do. */
const sleep = (milliseconds: number): void => {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
};

/**
 * Checks that this process could lock `folder`, and changes nothing.
 *
 * @throws QdyloraError BUSY_FOLDER if the holder of the lock runs, or may run on another machine.
 */
export function assertFolderFree(folder: string, self: ProcessIdentity = thisProcess()): void {
  const path = join(folder, LOCK_FILE);
  const holder = identityOf(readText(path) ?? '');
  if (holder && mayBeRunning(holder, self)) throw busy(path, holder);
}

/** The identity of this process. Boot id and start time come from `/proc`, so only Linux has them. */
export const thisProcess = (): ProcessIdentity => ({
  pid: process.pid,
  host: hostname(),
  bootId: readText('/proc/sys/kernel/random/boot_id')?.trim() ?? null,
  startTime: startTimeOf(process.pid),
});

/**
 * Clock ticks from boot to the start of a process (field 22 of /proc/<pid>/stat). It differs between two
 * processes that had the same pid.
 */
function startTimeOf(pid: number): string | null {
  const stat = readText(`/proc/${pid}/stat`);
  // the command in parentheses may contain spaces
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null;
}

function mayBeRunning(holder: ProcessIdentity, self: ProcessIdentity): boolean {
  if (holder.host !== self.host) return true; // its process numbers mean nothing here
  if (holder.bootId !== self.bootId) return false;
  if (!isRunning(holder.pid)) return false;
  const now = startTimeOf(holder.pid);
  return holder.startTime === null || now === null || holder.startTime === now;
}

function identityOf(text: string): ProcessIdentity | null {
  try {
    const { pid, host, boot_id: bootId, start_time: startTime } = JSON.parse(text) as Record<string, unknown>;
    const isText = (value: unknown): value is string | null => value === null || typeof value === 'string';
    return Number.isSafeInteger(pid) && typeof host === 'string' && isText(bootId) && isText(startTime)
      ? { pid: pid as number, host, bootId, startTime }
      : null;
  } catch {
    return null;
  }
}

/** The text of a lock or a claim; null if there is none. @throws errors of the file system */
function lockTextAt(path: string, fs: LockFileSystem): string | null {
  try {
    return fs.readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

/** The text of a file; null if it cannot be read. */
function readText(path: string): string | null {
  try {
    return nodeFs.readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}

const writeFailed = (path: string, cause: unknown): QdyloraError =>
  new QdyloraError('WRITE_FAILED', {
    where: 'lock',
    problem: `${path} could not be created: ${(cause as Error).message}`,
    nextStep: 'Choose a folder that can be written to.',
    details: { path, code: (cause as { code?: string }).code },
    cause,
  });

const busy = (path: string, holder: ProcessIdentity | null): QdyloraError =>
  new QdyloraError('BUSY_FOLDER', {
    where: 'lock',
    problem:
      `Another run writes to this folder: the lock ${path} belongs to ` +
      `${holder ? `process ${holder.pid} on ${holder.host}` : 'another process'}`,
    nextStep: 'Wait for that run, or choose another output_dir. If no such run exists, delete the lock file.',
    details: { path, ...holder },
  });
