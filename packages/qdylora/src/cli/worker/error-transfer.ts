import { QdyloraError, type ErrorCode } from '@qdylora/contract';

/** An error in a form that can be posted between threads, which do not keep classes. */
export interface PackedError {
  readonly code: ErrorCode | null;
  readonly name: string;
  readonly message: string;
  readonly where: string;
  readonly nextStep: string;
  readonly details: unknown;
  readonly stack: string;
}

export function packError(error: unknown): PackedError {
  const { name = 'Error', message = String(error), stack = '' } = error instanceof Error ? error : {};
  if (!QdyloraError.isInstance(error))
    return { code: null, name, message, where: '', nextStep: '', details: {}, stack };
  return {
    code: error.code,
    name,
    message,
    where: error.where,
    nextStep: error.nextStep,
    details: JSON.parse(JSON.stringify(error.details)),
    stack,
  };
}

/** The error again, with the stack of the thread where it was thrown. */
export function unpackError({ code, name, message, where, nextStep, details, stack }: PackedError): Error {
  const error =
    code === null
      ? new Error(message)
      : new QdyloraError(code, {
          where,
          problem: message,
          nextStep,
          details: details as Record<string, unknown>,
        });
  return Object.assign(Object.defineProperty(error, 'message', { value: message, configurable: true }), {
    name,
    stack,
  });
}
