import { QdyloraError } from '@qdylora/contract';
import { ExactNumber } from './rows/json/exact-number.ts';

/** The error of a row that cannot be used; `where` is `file:line`. */
export const badData = (where: string, problem: string, nextStep: string, cause?: unknown): QdyloraError =>
  new QdyloraError('BAD_DATA', { where, problem, nextStep, cause });

/** Key of the record in place of a Parquet text that cannot be decoded; its value is the number of bytes. */
export const NOT_UTF8 = 'bytes that are not UTF-8';
/** Key of the record in place of malformed JSON in a Parquet file; its value is the number of characters. */
export const NOT_JSON = 'JSON that cannot be parsed';

/** The kind of a JSON value, for a message. */
export const kindOf = (value: unknown): string =>
  (value instanceof ExactNumber
    ? 'a number'
    : value === null
      ? 'null'
      : Array.isArray(value)
        ? 'a list'
        : value === undefined
          ? 'nothing'
          : typeof value === 'object' && NOT_UTF8 in value
            ? NOT_UTF8
            : `a ${typeof value}`
  ).replace('a object', 'an object');
