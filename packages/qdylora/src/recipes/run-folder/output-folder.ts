import { accessSync, constants, existsSync, readdirSync, realpathSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { assertCanCreate, parseTemporaryName, type FileSystem } from '@qdylora/checkpoint';
import { QdyloraError } from '@qdylora/contract';
import { assertFolderFree, findCheckpoint, LOCK_FILE, STATE_FILE, type ResumeFrom } from '@qdylora/trainer';

/** The folder of `tune`, which a run that begins leaves alone. */
const TUNE_FOLDER = 'tune';

/** Files and folders of a run. */
export const runPaths = (outputDir: string) => ({
  adapter: join(outputDir, 'adapter'),
  model: join(outputDir, 'model'),
  events: join(outputDir, 'events.jsonl'),
  run: join(outputDir, 'run.yaml'),
  reportJson: join(outputDir, 'report.json'),
  reportHtml: join(outputDir, 'report.html'),
  profile: join(outputDir, 'profile.json'),
  tensorboard: join(outputDir, 'tensorboard'),
  checkpoints: join(outputDir, 'checkpoints'),
  tune: join(outputDir, TUNE_FOLDER),
});

/** The checkpoint from which a run resumes; null: it begins, also where `auto` finds none. */
export const checkpointOf = (
  {
    outputDir,
    resumeFromCheckpoint: resume,
  }: { readonly outputDir: string; readonly resumeFromCheckpoint: string | null },
  fs?: FileSystem,
): string | null => (resume === 'auto' ? findCheckpoint(runPaths(outputDir).checkpoints, fs).path : resume);

/** `auto` in the words of the trainer. */
export const resumeFrom = (value: string | null): ResumeFrom => (value === 'auto' ? 'latest' : value);

/**
 * Refuses a folder that is in use, holds something else or cannot be created, and a checkpoint that does not
 * exist, before anything expensive happens. Refuses to resume in a folder with results, too, where no
 * checkpoint is left or `resume` names one of another run: the results would be replaced. Leaves nothing
 * behind.
 *
 * @throws QdyloraError BUSY_FOLDER, NOT_EMPTY, WRITE_FAILED, MISSING_FILE
 */
export function checkOutputFolder(outputDir: string, resume: string | null): void {
  if (resume !== null && resume !== 'auto') assertIsCheckpoint(resume);
  assertCanWrite(outputDir);
  if (!existsSync(outputDir)) return;
  const entries: (string | null)[] = statSync(outputDir).isDirectory() ? readdirSync(outputDir) : [null];
  if (entries.includes(LOCK_FILE)) assertFolderFree(outputDir);
  const left = entries.filter((name) => !isIgnored(name));
  // somebody may have moved the file away
  const isRun = left.includes('run.yaml') || left.includes('checkpoints');
  if (resume !== null && isRun) return assertGoesOn(outputDir, left, resume);
  if (left.length === 0) return;
  throw new QdyloraError('NOT_EMPTY', {
    where: 'output_dir',
    problem:
      `${outputDir} already exists and is not an empty folder ` +
      `(${left[0] === null ? 'a file' : `${left.length} entries`}).`,
    details: { path: outputDir },
    nextStep: isRun
      ? 'Go on with that run: --resume-from-checkpoint auto; or choose another output_dir.'
      : 'Choose another output_dir: this folder does not belong to a run, and is not changed.',
  });
}

/** What may lie in a folder in which a run begins. */
const isIgnored = (name: string | null): boolean =>
  name === LOCK_FILE || name === TUNE_FOLDER || (name !== null && parseTemporaryName(name) !== null);

/** What a run writes at its end. */
const RESULTS = ['adapter', 'model', 'report.json'];

/** @throws QdyloraError NOT_EMPTY for results of a run that `resume` does not go on with */
function assertGoesOn(outputDir: string, entries: readonly (string | null)[], resume: string): void {
  const result = RESULTS.find((name) => entries.includes(name));
  const obstacle = result && obstacleToGoOn(runPaths(outputDir).checkpoints, resume);
  if (!obstacle) return;
  throw new QdyloraError('NOT_EMPTY', {
    where: 'output_dir',
    problem: `${outputDir} has the results of a run (${result}), which would be replaced: ${obstacle}.`,
    details: { path: outputDir },
    nextStep: 'Choose another output_dir.',
  });
}

/** Why a run cannot go on from a checkpoint of its own; null: it can. */
function obstacleToGoOn(checkpoints: string, resume: string): string | null {
  if (resume === 'auto') {
    const { path, damaged } = findCheckpoint(checkpoints);
    return path !== null ? null : (damaged.at(0)?.problem ?? 'none of its checkpoints is left to go on from');
  }
  const isOwn =
    existsSync(checkpoints) && realpathSync(dirname(resolve(resume))) === realpathSync(checkpoints);
  return isOwn ? null : `${resume} is no checkpoint of that run`;
}

/** Only its existence is checked: reading a large checkpoint takes a while. */
function assertIsCheckpoint(path: string): void {
  if (existsSync(join(path, STATE_FILE))) return;
  throw new QdyloraError('MISSING_FILE', {
    where: 'resume_from_checkpoint',
    problem: `${path} is not the folder of a checkpoint.`,
    nextStep: 'Checkpoints are in output_dir/checkpoints; auto uses the newest complete one.',
    details: { path },
  });
}

/**
 * The folder, or the nearest existing one above it, must accept new entries. Problems that only a write shows
 * are reported then. A file is let through: `checkOutputFolder` refuses it as what is not empty.
 *
 * @param key the one that names the folder
 * @throws QdyloraError WRITE_FAILED
 */
export function assertCanWrite(folder: string, key = 'output_dir'): void {
  try {
    if (!existsSync(folder)) assertCanCreate(folder);
    else if (statSync(folder).isDirectory()) accessSync(folder, constants.W_OK | constants.X_OK);
  } catch (error) {
    const cause = QdyloraError.isInstance(error) ? error.cause : error;
    throw new QdyloraError('WRITE_FAILED', {
      where: key,
      problem: `The folder ${folder} cannot be written: ${(cause as Error).message}.`,
      nextStep: `Choose another ${key}, or make that folder writable.`,
      details: { path: folder, code: (cause as { code?: unknown }).code },
      cause,
    });
  }
}

/**
 * Refuses a folder for optimizer pages that cannot be written, before the weights are loaded.
 *
 * @throws QdyloraError WRITE_FAILED
 */
export function checkPageFolder(pageDir: string): void {
  assertCanWrite(pageDir, 'page_dir');
  if (!existsSync(pageDir) || statSync(pageDir).isDirectory()) return;
  throw new QdyloraError('WRITE_FAILED', {
    where: 'page_dir',
    problem: `${pageDir} is a file, not a folder.`,
    nextStep: 'Choose another page_dir.',
    details: { path: pageDir },
  });
}

/**
 * Checks the folder for the results of an evaluation before the evaluation, which takes a while.
 *
 * @param name a folder in that of a run, for the advice
 * @param hasReport whether a report is among the results, which would replace that of a run
 * @throws QdyloraError WRITE_FAILED; NOT_EMPTY for the folder of a run
 */
export function assertReportFits(folder: string, name: string, hasReport = true): void {
  assertCanWrite(folder);
  const isFile = existsSync(folder) && !statSync(folder).isDirectory();
  if (!isFile && !existsSync(runPaths(folder).reportJson)) return;
  const reason = hasReport
    ? 'whose report.html would be replaced'
    : 'with which the results of an evaluation are not mixed';
  throw new QdyloraError('NOT_EMPTY', {
    where: 'output_dir',
    problem: isFile ? `${folder} is a file.` : `${folder} is the folder of a run, ${reason}.`,
    nextStep: `Choose another folder, such as ${isFile ? `${folder}-${name}` : join(folder, name)}.`,
  });
}
