import { QdyloraError, type ErrorCode } from '@qdylora/contract';

/** The typed error that `run` throws; anything else fails the test. */
export function errorOf(run: () => unknown, code?: ErrorCode): QdyloraError {
  try {
    run();
  } catch (error) {
    return typed(error, code);
  }
  throw new Error('There was no error.');
}

/** The same for a promise. */
export async function rejectionOf(promise: Promise<unknown>, code?: ErrorCode): Promise<QdyloraError> {
  try {
    await promise;
  } catch (error) {
    return typed(error, code);
  }
  throw new Error('There was no error.');
}

function typed(error: unknown, code?: ErrorCode): QdyloraError {
  if (!QdyloraError.isInstance(error)) throw error;
  if (code && error.code !== code)
    throw new Error(`The error must be ${code}, but it is ${error.code}: ${error.message}`, { cause: error });
  return error;
}
