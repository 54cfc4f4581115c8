import { createHash } from 'node:crypto';
import { pythonText, stripped, type PythonValue } from '@qdylora/data';

const noLimit = (): void => {};

/** `str(value)` */
export const strOf = (value: PythonValue): string => pythonText(value, noLimit);

/** SHA-256 of the text as UTF-8, in hexadecimal digits: the harness's `hash_string`. */
export const hashText = (text: string): string => createHash('sha256').update(text, 'utf8').digest('hex');

/** `text[-1].isspace()`; false for an empty text. */
export const endsWithSpace = (text: string): boolean => stripped(text, 'rstrip').length < text.length;

/** `text[0].isspace()`; false for an empty text. */
export const startsWithSpace = (text: string): boolean => stripped(text, 'lstrip').length < text.length;

/** Joins two texts. The delimiter comes between them only where neither has white space there. */
export function joinDelimited(prefix: string, suffix: string, delimiter: string): string {
  if (prefix === '' || suffix === '') return prefix + suffix;
  return endsWithSpace(prefix) || startsWithSpace(suffix) ? prefix + suffix : prefix + delimiter + suffix;
}
