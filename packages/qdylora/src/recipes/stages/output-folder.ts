import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { QdyloraError } from '@qdylora/contract';
import { assertFolderFree, LOCK_FILE, type ResumeFrom } from '@qdylora/trainer';

/** Files and folders of a run. */
export const runPaths = (outputDir: string) => ({
  adapter: join(outputDir, 'adapter'), model: join(outputDir, 'model'), events: join(outputDir, 'events.jsonl'),
  run: join(outputDir, 'run.yaml'), reportJson: join(outputDir, 'report.json'), reportHtml: join(outputDir, 'report.html'), profile: join(outputDir, 'profile.json'), tensorboard: join(outputDir, 'tensorboard'),
});

/** `auto` in the words of the trainer. */
export const resumeFrom = (value: string | null): ResumeFrom => (value === 'auto' ? 'latest' : value);

/**
 * Refuses a folder that is in use or holds something else, before anything costly happens. Nothing is written.
 *
 * @throws QdyloraError BUSY_FOLDER, NOT_EMPTY
 */
export function checkOutputFolder(outputDir: string, resume: string | null): void {
  if (!existsSync(outputDir)) return;
  const entries: (string | null)[] = statSync(outputDir).isDirectory() ? readdirSync(outputDir) : [null];
  if (entries.includes(LOCK_FILE)) assertFolderFree(outputDir);
  const left = entries.filter((name) => name !== LOCK_FILE);
  if (left.length === 0 || (resume !== null && left.includes('run.yaml'))) return;
  throw new QdyloraError('NOT_EMPTY', {
    where: 'output_dir', problem: `expected an empty folder or none at ${outputDir}, got ${left[0] === null ? 'a file' : `${left.length} entries`}`, details: { path: outputDir },
    nextStep: left.includes('run.yaml') ? 'Go on with that run: --resume-from-checkpoint auto; or choose another output_dir.' : 'Choose another output_dir: this one is not a run of ours and is left alone.',
  });
}
