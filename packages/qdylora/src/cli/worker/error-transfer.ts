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
  /** Of an error of the operating system: EACCES. */
  readonly systemCode: string | null;
  readonly cause: PackedError | null;
}

export function packError(error: unknown): PackedError {
  const isError = error instanceof Error;
  const { name = 'Error', message = String(error), stack = '' } = isError ? error : {};
  const cause = isError && error.cause !== undefined ? packError(error.cause) : null;
  const common = { name, message, stack, cause };
  if (!QdyloraError.isInstance(error)) {
    const { code: systemCode = null } = (isError ? error : {}) as { readonly code?: string };
    return { ...common, code: null, where: '', nextStep: '', details: {}, systemCode };
  }
  return {
    ...common,
    code: error.code,
    where: error.where,
    nextStep: error.nextStep,
    details: JSON.parse(JSON.stringify(error.details)),
    systemCode: null,
  };
}

/** The error again, with the stack of the thread where it was thrown. */
export function unpackError(packed: PackedError): Error {
  const { code, name, message, where, nextStep, details, stack, systemCode } = packed;
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
    ...(systemCode !== null && { code: systemCode }),
    ...(packed.cause && { cause: unpackError(packed.cause) }),
  });
}
