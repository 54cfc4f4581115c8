import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { hostname } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { isRunning } from '../folder/is-running.ts';

/**
 * What a download grows in: `<path>.incomplete` between two runs, and a name of its own while a process
 * writes to it, so that no two ever write to one file.
 */
export interface PartialFile {
  readonly path: string;
  /** Leaves what came to whoever goes on with it. */
  leave(): void;
}

/** A host's name as part of a file's. */
const HOST = hostname()
  .replace(/[^\w.]/g, '_')
  .slice(0, 64);

/**
 * Takes over what an earlier download of `path` left: one that ended, or one whose process on this machine is
 * gone. Where there is none, the file begins with the first write.
 */
export function claimPartial(path: string): PartialFile {
  const left = `${path}.incomplete`;
  const claimed = `${left}-${HOST}-${process.pid}-${randomBytes(6).toString('hex')}`;
  for (const from of [left, ...abandoned(left)]) {
    try {
      renameSync(from, claimed); // one process at most succeeds
      break;
    } catch (cause) {
      if ((cause as { code?: string }).code !== 'ENOENT') throw cause;
    }
  }
  return {
    path: claimed,
    leave() {
      if (!existsSync(claimed)) return;
      if (statSync(claimed).size > 0) renameSync(claimed, left);
      else rmSync(claimed);
    },
  };
}

/** Parts that killed processes left, the largest first. */
function abandoned(left: string): string[] {
  const folder = dirname(left);
  const start = `${basename(left)}-${HOST}-`;
  const names = readdirSync(folder).filter(
    (name) =>
      name.startsWith(start) && !isAlive(Number(/^(\d+)-[0-9a-f]{12}$/.exec(name.slice(start.length))?.[1])),
  );
  return names
    .map((name) => join(folder, name))
    .map((path) => ({ path, size: statSync(path, { throwIfNoEntry: false })?.size ?? 0 }))
    .sort((a, b) => b.size - a.size)
    .map(({ path }) => path);
}

/** True also for what is no number of a process: such a file is somebody else's. */
const isAlive = (pid: number): boolean => !Number.isSafeInteger(pid) || pid < 1 || isRunning(pid);
