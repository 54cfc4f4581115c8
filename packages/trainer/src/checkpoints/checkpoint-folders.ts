import { join } from 'node:path';
import { discardFolder, NODE_FILE_SYSTEM, type FileSystem } from '@qdylora/checkpoint';
import { QdyloraError } from '@qdylora/contract';

/**
 * The checkpoints of a run, newest first; empty if the folder does not exist.
 *
 * @throws QdyloraError BAD_RESUME if the folder cannot be read, because a new run must not begin then.
 */
export function listCheckpoints(
  folder: string,
  fs: FileSystem = NODE_FILE_SYSTEM,
): { step: number; path: string }[] {
  const found = namesIn(folder, fs).flatMap((name) => {
    const [, step] = /^step-(\d+)$/.exec(name) ?? [];
    return step ? [{ step: Number(step), path: join(folder, name) }] : [];
  });
  return found.sort((a, b) => b.step - a.step);
}

function namesIn(folder: string, fs: FileSystem): string[] {
  try {
    return fs.readdirSync(folder);
  } catch (cause) {
    if ((cause as { code?: string }).code === 'ENOENT') return [];
    throw new QdyloraError('BAD_RESUME', {
      where: 'resume',
      problem: `The folder ${folder} cannot be read: ${(cause as Error).message}`,
      nextStep: 'Make it readable, or choose another output_dir.',
      details: { path: folder },
      cause,
    });
  }
}

/**
 * Removes all but the newest `keep` checkpoints (at least 1). Returns whether any was removed. Call it once
 * the newest one is durable, so that a good checkpoint is always left.
 */
export function pruneCheckpoints(folder: string, keep: number, fs: FileSystem = NODE_FILE_SYSTEM): boolean {
  let isAnyGone = false;
  try {
    for (const { path } of listCheckpoints(folder, fs).slice(Math.max(1, keep))) {
      discardFolder(path, fs);
      isAnyGone = true;
    }
  } catch {
    /* one checkpoint too many does no harm; the next save tries again */
  }
  return isAnyGone;
}

/** Why a folder is set aside. */
type Reason = 'damaged' | 'superseded';

/** The name of a folder that was set aside. */
export const asideOf = (path: string, why: Reason): string => `${path}.${why}`;

/**
 * Renames a checkpoint so that the run ignores it: `step-20.damaged`. Nothing is deleted, except an older
 * checkpoint under that name.
 */
export function setCheckpointAside(path: string, why: Reason, fs: FileSystem = NODE_FILE_SYSTEM): string {
  const aside = asideOf(path, why);
  fs.rmSync(aside, { recursive: true, force: true });
  fs.renameSync(path, aside);
  return aside;
}
