import { existsSync } from 'node:fs';
import { QdyloraError } from '@qdylora/contract';
import { expandGlobs } from '@qdylora/data';

/**
 * Checks that every file of rows exists, before anything is downloaded or loaded. Only its existence: the
 * reader of the rows checks the rest.
 *
 * @throws QdyloraError MISSING_FILE for a file that is not there, or a pattern that matches none
 */
export function assertRowsExist(names: readonly string[]): void {
  const missing = expandGlobs(names)
    .flat()
    .find((file) => !existsSync(file));
  if (missing === undefined) return;
  throw new QdyloraError('MISSING_FILE', {
    where: missing,
    problem: 'There is no such dataset file.',
    nextStep: 'Check the path: it is relative to the working directory.',
  });
}
