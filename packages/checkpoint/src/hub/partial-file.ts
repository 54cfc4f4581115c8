import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { isRunning } from '../folder/is-running.ts';
import { machineTag } from '../write/machine-tag.ts';

/**
 * The file of an unfinished download: `<path>.incomplete` between two runs, and a separate name while a
 * process writes to it, so that two processes never write to one file.
 */
export interface PartialFile {
  readonly path: string;
  /** Keeps the received bytes for the next download. */
  leave(): void;
}

/**
 * A file of another machine or container, or of this machine before its last start, is abandoned if nothing
 * was written to it for so long: a download that hears nothing ends within minutes.
 */
const ABANDONED_MS = 3_600_000;

/**
 * Takes over the partial file of an earlier download of `path`: one that has ended, whose process on this
 * machine is gone, or that was left elsewhere an hour ago. Without one, the first write creates the file.
 */
export function claimPartial(path: string): PartialFile {
  const incomplete = `${path}.incomplete`;
  const claimed = `${incomplete}-${machineTag()}-${process.pid}-${randomBytes(6).toString('hex')}`;
  for (const from of [incomplete, ...abandonedPartials(incomplete)]) {
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

/** Partial files that no process writes to any more, the largest first. */
function abandonedPartials(incomplete: string): string[] {
  const folder = dirname(incomplete);
  const start = `${basename(incomplete)}-`;
  const found: { readonly path: string; readonly size: number }[] = [];
  for (const name of readdirSync(folder)) {
    const [, machine, pid] =
      (name.startsWith(start) && /^([0-9a-f]{6})-(\d+)-[0-9a-f]{12}$/.exec(name.slice(start.length))) || [];
    if (machine === undefined) continue; // it belongs to something else
    const path = join(folder, name);
    const stats = statSync(path, { throwIfNoEntry: false });
    const isAbandoned =
      machine === machineTag()
        ? !isRunning(Number(pid))
        : stats !== undefined && Date.now() - stats.mtimeMs > ABANDONED_MS;
    if (stats && isAbandoned) found.push({ path, size: stats.size });
  }
  return found.sort((a, b) => b.size - a.size).map(({ path }) => path);
}
