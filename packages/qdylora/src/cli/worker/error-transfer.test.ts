import { readFileSync } from 'node:fs';
import { QdyloraError } from '@qdylora/contract';
import { expect, it } from 'vitest';
import { packError, unpackError } from './error-transfer.ts';

const throughThread = (error: unknown): Error => unpackError(structuredClone(packError(error)));

function errorOf(work: () => unknown): Error {
  try {
    work();
  } catch (error) {
    return error as Error;
  }
  throw new Error('It has thrown nothing.');
}

it('an error comes out of a thread with its class, its advice, its cause and the code of the system', () => {
  const missing = errorOf(() => readFileSync('/nowhere/rows.jsonl'));
  const error = new QdyloraError('MISSING_FILE', {
    where: 'data',
    problem: 'There are no rows.',
    nextStep: 'Name another file.',
    details: { path: 'rows.jsonl' },
    cause: missing,
  });
  const received = throughThread(error);
  expect(QdyloraError.isInstance(received)).toBe(true);
  expect(received).toMatchObject({
    code: 'MISSING_FILE',
    where: 'data',
    nextStep: 'Name another file.',
    details: { path: 'rows.jsonl' },
    message: error.message,
    stack: error.stack,
    cause: { code: 'ENOENT', message: missing.message, stack: missing.stack },
  });
  expect(throughThread(missing)).toMatchObject({ code: 'ENOENT', message: missing.message });
});

it('anything else that is thrown comes out as an error', () => {
  expect(throughThread('stop').message).toBe('stop');
});
