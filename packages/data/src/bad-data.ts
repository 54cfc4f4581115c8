import { QdyloraError } from '@qdylora/contract';
import { ExactNumber } from './rows/json/exact-number.ts';

/** The error of a row that cannot be used; `where` is `file:line`. */
export const badData = (where: string, problem: string, nextStep: string, cause?: unknown): QdyloraError =>
  new QdyloraError('BAD_DATA', { where, problem, nextStep, cause });

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
          : `a ${typeof value}`
  ).replace('a object', 'an object');
