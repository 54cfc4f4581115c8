import { join } from 'node:path';
import {
  canonicalJson,
  discardFolder,
  NODE_FILE_SYSTEM,
  writeFileUnsynced,
  writeFolderAtomically,
  type FileSystem,
} from '@qdylora/checkpoint';
import { QdyloraError } from '@qdylora/contract';
import type { RunProgress } from '../run/run-progress.ts';
import { asideOf, setCheckpointAside } from './checkpoint-folders.ts';

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
  const aside = asideOf(path, 'superseded');
  if (isReached(aside, { step, score }, fs)) discardFolder(aside, fs);
  return path;
}

/** The best evaluation of a resumed run, and a warning if it is not that of the checkpoint. */
interface RestoredBest {
  readonly best: RunProgress['best'];
  readonly warning: string | null;
}

/**
 * Makes `adapter-best` and the best evaluation of the restored checkpoint agree:
 * - An adapter that later steps wrote is set aside. One that names no evaluation, as in earlier versions,
 *   stays.
 * - A missing one may have been set aside by a resume that ended before its first checkpoint. It is renamed
 *   back if it is that of the checkpoint. Otherwise the best adapter starts over.
 *
 * @param options.isWritten whether the run writes `adapter-best`; otherwise a missing one is no fault
 * @throws QdyloraError BAD_RESUME if the evaluation that an adapter names cannot be read
 */
export function restoreBest(
  folder: string,
  best: RunProgress['best'],
  { isWritten, fs = NODE_FILE_SYSTEM }: { readonly isWritten: boolean; readonly fs?: FileSystem | undefined },
): RestoredBest {
  const path = bestAdapterIn(folder);
  const written = evaluationOf(path, fs);
  const isInPlace = written === null ? fs.existsSync(path) : isOf(best, written);
  if (isInPlace) return { best, warning: null };
  if (written) return { best: null, warning: setLaterBestAside(path, { written, best }, fs) };
  if (best === null || !isWritten) return { best, warning: null };
  const aside = asideOf(path, 'superseded');
  if (isReached(aside, best, fs)) {
    fs.renameSync(aside, path);
    return { best, warning: null };
  }
  const warning =
    `The best evaluation of the checkpoint from which the run resumes is that of step ${best.step}, but ` +
    `its adapter ${path} is missing: the best adapter starts over.`;
  return { best: null, warning };
}

/** Sets aside an `adapter-best` of later steps. @returns the warning */
function setLaterBestAside(
  path: string,
  { written, best }: { readonly written: Partial<Best>; readonly best: RunProgress['best'] },
  fs: FileSystem,
): string {
  const aside = setCheckpointAside(path, 'superseded', fs);
  return (
    `${path} was written after step ${written.step}, but the checkpoint from which the run resumes has ` +
    `${best ? `its best evaluation at step ${best.step}` : 'no best evaluation'}: it was renamed to ` +
    `${aside}, and the best adapter starts over. If the run reaches the same score at step ` +
    `${written.step} again, the renamed one is removed.`
  );
}

const bestAdapterIn = (folder: string): string => join(folder, 'adapter-best');

/** Whether an adapter is of an evaluation. */
const isOf = (best: RunProgress['best'], written: Partial<Best> | null): boolean =>
  best !== null && written?.step === best.step && written.score === best.score;

/** Whether an adapter that was set aside is of this evaluation. One that cannot be read stays. */
function isReached(aside: string, best: Best, fs: FileSystem): boolean {
  try {
    return isOf(best, evaluationOf(aside, fs));
  } catch {
    return false;
  }
}

/**
 * The evaluation that an adapter is of; null if it does not say so.
 *
 * @throws QdyloraError BAD_RESUME if the file is there, but cannot be read
 */
function evaluationOf(path: string, fs: FileSystem): Partial<Best> | null {
  const text = textOf(join(path, BEST_FILE), fs);
  if (text === null) return null;
  try {
    return JSON.parse(text) as Partial<Best> | null;
  } catch {
    return null;
  }
}

/** The text of a file; null if there is none. */
function textOf(path: string, fs: FileSystem): string | null {
  try {
    return fs.readFileSync(path, 'utf8');
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return null;
    throw new QdyloraError('BAD_RESUME', {
      where: 'resume',
      problem: `${path}, which says of which step the best adapter is, cannot be read: ${message}`,
      nextStep: 'Make it readable, or move its folder away: the best adapter then starts over.',
      details: { path, code },
      cause,
    });
  }
}
