import { readFileSync, statSync } from 'node:fs';
import { badData } from '../bad-data.ts';
import { decodeText } from './decode-text.ts';
import { assertRegularFile } from './read-lines.ts';

/** A JavaScript string holds at most 2^29 − 24 units; half of that leaves room for the tokens. */
const MAX_TEXT_BYTES = 2 ** 28;

/**
 * Reads a text file, without a byte order mark; '' for an empty file if `onEmpty` does not throw.
 *
 * @throws QdyloraError MISSING_FILE; BAD_DATA for an empty file, a file over 256 MiB, or bytes that are not
 * UTF-8.
 */
export function readPlainText(file: string, onEmpty: (error: Error) => void = raise): string {
  assertRegularFile(file);
  const { size } = statSync(file);
  if (size > MAX_TEXT_BYTES)
    throw badData(
      file,
      `The text file has ${size} bytes, more than the limit of ${MAX_TEXT_BYTES}`,
      'Split it into several files and list them.',
    );
  const text = decodeText(readFileSync(file), file).replace(/^\ufeff/, '');
  if (text === '') onEmpty(badData(file, 'The file is empty', 'Name a file with text in it.'));
  return text;
}

function raise(error: Error): never {
  throw error;
}
