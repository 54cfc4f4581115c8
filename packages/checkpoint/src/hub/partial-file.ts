import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { hostname } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { isRunning } from '../folder/is-running.ts';

/**
 * The file of an unfinished download: `<path>.incomplete` between two runs, and a separate name while a
 * process writes to it, so that two processes never write to one file.
 */
export interface PartialFile {
  readonly path: string;
  /** Keeps the received bytes for the next download. */
  leave(): void;
}

/** The host name, as a part of file names. */
const HOST = hostname()
  .replace(/[^\w.]/g, '_')
  .slice(0, 64);

/**
 * Takes over the partial file of an earlier download of `path`: one that has ended, or whose process on this
 * machine is gone. Without one, the file is created by the first write.
 */
export function claimPartial(path: string): PartialFile {
  const incomplete = `${path}.incomplete`;
  const claimed = `${incomplete}-${HOST}-${process.pid}-${randomBytes(6).toString('hex')}`;
  for (const from of [incomplete, ...partialsOfEndedProcesses(incomplete)]) {
    try {
      renameSync(from, claimed); // at most one process succeeds
      break;
    } catch (cause) {
      if ((cause as { code?: string }).code !== 'ENOENT') throw cause;
    }
  }
  return {
    path: claimed,
    leave() {
      if (!existsSync(claimed)) return;
      if (statSync(claimed).size > 0) renameSync(claimed, incomplete);
      else rmSync(claimed);
    },
  };
}

/** Partial files of killed processes, the largest first. */
function partialsOfEndedProcesses(incomplete: string): string[] {
  const folder = dirname(incomplete);
  const start = `${basename(incomplete)}-${HOST}-`;
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

/**
 * True for a running process, and for text that is not a process number: such a file belongs to something
 * else.
 */
const isAlive = (pid: number): boolean => !Number.isSafeInteger(pid) || pid < 1 || isRunning(pid);
