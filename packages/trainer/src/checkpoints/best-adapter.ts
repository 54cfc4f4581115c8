import { join } from 'node:path';
import {
  canonicalJson,
  discardFolder,
  NODE_FILE_SYSTEM,
  writeFileUnsynced,
  writeFolderAtomically,
  type FileSystem,
} from '@qdylora/checkpoint';
import type { RunProgress } from '../run/run-progress.ts';
import { setCheckpointAside } from './checkpoint-folders.ts';

/** Step and score of the evaluation that an `adapter-best` is of. */
const BEST_FILE = 'best.json';

type Best = NonNullable<RunProgress['best']>;

/**
 * Writes the adapter of the best evaluation, with its step and score. If the one that was set aside is of
 * the same evaluation, the run has reached it again, and it is removed.
 *
 * @returns the adapter's path
 */
export async function writeBestAdapter(
  folder: string,
  { step, score }: Best,
  { write, fs = NODE_FILE_SYSTEM }: { write: (at: string) => void | Promise<void>; fs?: FileSystem },
): Promise<string> {
  const path = bestAdapterIn(folder);
  const text = new TextEncoder().encode(canonicalJson({ step, score }));
  await writeFolderAtomically(
    path,
    async (at) => {
      await write(at);
      writeFileUnsynced(join(at, BEST_FILE), [text], fs);
    },
    { replace: true, fs },
  );
  const aside = supersededBestIn(folder);
  if (isOf({ step, score }, evaluationOf(aside, fs))) discardFolder(aside, fs);
  return path;
}

/**
 * Sets aside an `adapter-best` that is not of the best evaluation of the restored checkpoint: later steps
 * wrote it. One that names no evaluation, of an earlier version, stays.
 *
 * @returns the warning; null if nothing was set aside
 */
export function setOtherBestAside(
  folder: string,
  best: RunProgress['best'],
  fs: FileSystem = NODE_FILE_SYSTEM,
): string | null {
  const path = bestAdapterIn(folder);
  const written = evaluationOf(path, fs);
  if (written === null || isOf(best, written)) return null;
  const aside = setCheckpointAside(path, 'superseded', fs);
  return (
    `${path} was written after step ${written.step}, but the checkpoint from which the run resumes has ` +
    `${best ? `its best evaluation at step ${best.step}` : 'no best evaluation'}: it was renamed to ` +
    `${aside}, and the best adapter starts over. If the run reaches the same score at step ` +
    `${written.step} again, the renamed one is removed.`
  );
}

const bestAdapterIn = (folder: string): string => join(folder, 'adapter-best');
const supersededBestIn = (folder: string): string => `${bestAdapterIn(folder)}.superseded`;

/** Whether an adapter is of an evaluation. */
const isOf = (best: RunProgress['best'], written: Partial<Best> | null): boolean =>
  best !== null && written?.step === best.step && written.score === best.score;

/** The evaluation that an adapter is of; null if it does not say so. */
function evaluationOf(path: string, fs: FileSystem): Partial<Best> | null {
  try {
    return JSON.parse(fs.readFileSync(join(path, BEST_FILE), 'utf8')) as Partial<Best> | null;
  } catch {
    return null;
  }
}
