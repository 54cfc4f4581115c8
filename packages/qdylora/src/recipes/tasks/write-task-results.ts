import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createFolder } from '@qdylora/checkpoint';
import { QdyloraError } from '@qdylora/contract';
import { resultsDocument, sampleLine, type GroupScores, type RunFacts, type TaskScores } from '@qdylora/eval';

/** Characters that the harness does not put into a folder's name. */
const NOT_IN_NAMES = /["<>:/|\\?*[\]]+/g;

export interface ResultsToWrite {
  /** The folder that gets one folder for each model. */
  readonly folder: string;
  /** `smol:r8` */
  readonly modelName: string;
  /** The time in the files' names. */
  readonly date: Date;
  readonly scores: readonly TaskScores[];
  readonly groups: readonly GroupScores[];
  readonly facts: RunFacts;
}

/** The name of a model or a task, with `__` for characters that no file's name may have. */
export const sanitizedName = (name: string): string => name.replace(NOT_IN_NAMES, '__');

/**
 * Writes the files of lm-evaluation-harness: `results_<time>.json`, and `samples_<task>_<time>.jsonl` for
 * each task.
 *
 * @returns the file of the results
 * @throws QdyloraError WRITE_FAILED
 */
export function writeTaskResults({ folder, modelName, date, scores, groups, facts }: ResultsToWrite): string {
  const place = join(folder, sanitizedName(modelName));
  const time = date.toISOString().slice(0, -1).replaceAll(':', '-');
  const results = join(place, `results_${time}.json`);
  try {
    createFolder(place);
    for (const { requests, samples } of scores)
      writeFileSync(
        join(place, `samples_${sanitizedName(requests.task.name)}_${time}.jsonl`),
        samples.map((sample) => `${sampleLine(sample)}\n`).join(''),
      );
    writeFileSync(results, resultsDocument(scores, groups, facts));
  } catch (cause) {
    throw new QdyloraError('WRITE_FAILED', {
      where: place,
      problem: `The results cannot be written: ${(cause as Error).message}`,
      nextStep: 'Choose another --output-dir.',
      cause,
    });
  }
  return results;
}
