import { badData } from '../bad-data.ts';

export const EMPTY_FILE = 'an empty file';

/** The error for a file without rows. `got` describes the file. */
export const noRows = (file: string, got = EMPTY_FILE): Error =>
  badData(
    file,
    `The dataset has no rows: it is ${got}`,
    got === EMPTY_FILE ? 'Put rows into it: one JSON object on each line.' : 'Put rows into it.',
  );
