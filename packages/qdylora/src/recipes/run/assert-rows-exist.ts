import { assertRegularFile, expandGlobs } from '@qdylora/data';

/**
 * Checks the files of rows before anything is downloaded or loaded, as their reader does.
 *
 * @throws QdyloraError MISSING_FILE for a file that is not there, or a pattern that matches none; BAD_DATA
 * for anything but a regular file
 */
export function assertRowsExist(names: readonly string[]): void {
  for (const file of expandGlobs(names).flat()) assertRegularFile(file);
}
