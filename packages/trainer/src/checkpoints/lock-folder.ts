import { randomUUID } from 'node:crypto';
import * as fs from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { isRunning, temporaryName } from '@qdylora/checkpoint';
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

/**
 * Attempts to take the lock. Two processes that find the same dead lock may each win once; after the third
 * attempt the lock is busy.
 */
const MAX_ATTEMPTS = 3;

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
export function lockFolder(folder: string, self: ProcessIdentity = thisProcess()): FolderLock {
  const unmake = makeFolder(folder);
  try {
    return takeLock(folder, self, unmake);
  } catch (error) {
    unmake();
    throw error;
  }
}

function takeLock(folder: string, self: ProcessIdentity, unmake: () => void): FolderLock {
  const path = join(folder, LOCK_FILE);
  const lockText = JSON.stringify({
    pid: self.pid,
    host: self.host,
    boot_id: self.bootId,
    start_time: self.startTime,
    nonce: randomUUID(),
  });
  let tookOver: string | null = null;
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    if (createAtomically(path, lockText))
      return {
        tookOver,
        release: () => {
          if (readText(path) === lockText) fs.rmSync(path, { force: true });
          unmake();
        },
      };
    const foundText = readText(path);
    if (foundText === null) continue;
    const holder = identityOf(foundText);
    if (holder && mayBeRunning(holder, self)) throw busy(path, holder);
    tookOver = holder
      ? `took over the lock of process ${holder.pid}, which is gone`
      : 'took over a lock that nobody can read';
    removeDeadLock(path, foundText);
  }
  throw busy(path, identityOf(readText(path) ?? ''));
}

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

/** Creates a file that appears with its full content; false if the file exists. */
function createAtomically(path: string, text: string): boolean {
  const temporary = temporaryName(path);
  try {
    fs.writeFileSync(temporary, text, { flag: 'wx' });
    fs.linkSync(temporary, path);
    return true;
  } catch (error) {
    const { code } = error as { code?: string };
    // it exists, or its holder has cleared our temporary file as a leftover
    if (code === 'EEXIST' || code === 'ENOENT') return false;
    // a file system without hard links
    if (code === 'EPERM' || code === 'ENOTSUP' || code === 'ENOSYS') return createExclusively(path, text);
    throw writeFailed(path, error);
  } finally {
    fs.rmSync(temporary, { force: true });
  }
}

function createExclusively(path: string, text: string): boolean {
  try {
    fs.writeFileSync(path, text, { flag: 'wx' });
    return true;
  } catch {
    return false;
  }
}

/** Removes a dead lock, unless another process has replaced it meanwhile. */
function removeDeadLock(path: string, dead: string): void {
  const aside = temporaryName(path);
  try {
    fs.renameSync(path, aside);
    if (readText(aside) !== dead) fs.linkSync(aside, path);
  } catch {
    /* another process was quicker; the next attempt reads its lock */
  }
  fs.rmSync(aside, { force: true });
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

function readText(path: string): string | null {
  try {
    return fs.readFileSync(path, 'utf8');
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
