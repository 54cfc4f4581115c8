/** Stable codes of the errors that this project throws; programs switch on these, not on messages. */
export type ErrorCode =
  /** An argument of a function, or an option that it does not know. The caller is at fault. */
  | 'BAD_ARGUMENT'
  /** Arrays of an op, or the matrices of a file, whose sizes do not go together. */
  | 'BAD_SHAPE'
  /** A value that must be finite is infinite or not a number: weights of a file, an adapter to be saved. */
  | 'NON_FINITE'
  /** An object was used after its `dispose`. */
  | 'DISPOSED'
  /** Memory could not be allocated. `details` has `requiredBytes` and `availableBytes`. */
  | 'OUT_OF_MEMORY'
  /** The backend has no kernel for an op, and JavaScript cannot reach its memory to compute it. */
  | 'MISSING_KERNEL'
  /** A value that is valid in itself and not implemented here. The message lists what is supported. */
  | 'UNSUPPORTED'
  /** A model family that is not implemented. The message lists those that are. */
  | 'UNSUPPORTED_ARCHITECTURE'
  /** A file is not what its name says: cut short, damaged, or of another format. */
  | 'BAD_FILE'
  /** A file or a folder is not there, or cannot be read. */
  | 'MISSING_FILE'
  /** A weight that the model needs is in none of its files. */
  | 'MISSING_TENSOR'
  /** A key of a run or of a command has a value that is not allowed, alone or beside the others. */
  | 'BAD_CONFIG'
  /** A row of a dataset cannot be used. `on_bad_row` says whether it ends the run. */
  | 'BAD_DATA'
  /** An adapter cannot be read, or does not belong to its base. */
  | 'BAD_ADAPTER'
  /** The program has as much work as it can take; asking again later may work. */
  | 'BUSY'
  /** Another process writes to the folder. */
  | 'BUSY_FOLDER'
  /** The folder for the result has content that would be lost. */
  | 'NOT_EMPTY'
  /** A checkpoint is damaged, or belongs to a run with other values. */
  | 'BAD_RESUME'
  /**
   * Too many steps in a row had a loss, gradient or state that is not finite, or every rate that `tune` tried
   * diverged.
   */
  | 'NON_FINITE_LOSS'
  /** A file could not be written: a full disk, missing rights. */
  | 'WRITE_FAILED'
  /** The work was ended from outside: Ctrl-C, SIGTERM or an AbortSignal. */
  | 'ABORTED'
  /** The compiled kernels reported a failure. */
  | 'NATIVE'
  /** The hub could not be reached, or answered with an error. */
  | 'NETWORK'
  /** The hub refuses access to a model or a dataset: a licence to accept, or a missing token. */
  | 'ACCESS_DENIED'
  /** A call between the workers of a run failed, or they do not train the same run. */
  | 'COLLECTIVE_FAILED';

/** The parts of an error: its message in three pieces, the values behind it, and its cause. */
export interface ErrorParts {
  /** Where it happened: a package, a file, a key, a line. */
  readonly where: string;
  /** What is wrong, as a plain sentence with the value: `a rank must be at least 1 (got 0)`. */
  readonly problem: string;
  /** What the reader can do now. */
  readonly nextStep?: string;
  /** The values behind the message. */
  readonly details?: Readonly<Record<string, unknown>>;
  /** The error that led to this one. */
  readonly cause?: unknown;
}

const MARK = Symbol.for('qdylora.error');

/**
 * The base of every error thrown on purpose: `[where] problem. Next step.` plus a stable `code` and the
 * values as `details`.
 *
 * @example
 * throw new QdyloraError('BAD_ARGUMENT', {
 *   where: 'rank-set',
 *   problem: 'a rank must be at least 1 (got 0)',
 *   nextStep: 'Remove it.',
 * });
 */
export class QdyloraError extends Error {
  readonly code: ErrorCode;
  readonly where: string;
  /** What the reader can do now, as at the end of the message; '' if the error has none. */
  readonly nextStep: string;
  readonly details: Readonly<Record<string, unknown>>;
  readonly [MARK] = true;

  constructor(code: ErrorCode, parts: ErrorParts) {
    super(errorMessage(parts), parts.cause === undefined ? undefined : { cause: parts.cause });
    this.name = new.target.name;
    this.code = code;
    this.where = parts.where;
    this.nextStep = parts.nextStep ?? '';
    this.details = parts.details ?? {};
  }

  /** True for errors of this family, also when two copies of the package are installed. */
  static isInstance(value: unknown): value is QdyloraError {
    return typeof value === 'object' && value !== null && (value as Record<symbol, unknown>)[MARK] === true;
  }
}

/** The only place that composes a message. */
export function errorMessage({ where, problem, nextStep }: ErrorParts): string {
  const sentence = /[.!?]$/.test(problem) ? problem : `${problem}.`;
  return `[${where}] ${sentence}${nextStep ? ` ${nextStep}` : ''}`;
}

/**
 * The same error with `further` added to its next step. It is of the base class, and its cause is `error`.
 */
export function withNextStep(error: QdyloraError, further: string): QdyloraError {
  return withParts(error, { nextStep: error.nextStep ? `${error.nextStep} ${further}` : further });
}

/** The same error with another place or next step. It is of the base class, and its cause is `error`. */
export function withParts(
  error: QdyloraError,
  { where = error.where, nextStep = error.nextStep }: Partial<Pick<ErrorParts, 'where' | 'nextStep'>>,
): QdyloraError {
  const { code, details, message } = error;
  const problem = message.slice(`[${error.where}] `.length, message.length - error.nextStep.length).trim();
  return new QdyloraError(code, { where, problem, nextStep, details, cause: error });
}

/**
 * Memory that could not be allocated. `details` holds `requiredBytes`, `availableBytes` (NaN where unknown)
 * and the entries of `ledger`: how many bytes are in use for what.
 */
export class InsufficientMemoryError extends QdyloraError {
  constructor(
    requiredBytes: number,
    availableBytes: number,
    where = 'memory',
    ledger: Readonly<Record<string, number>> = {},
  ) {
    const available = Number.isNaN(availableBytes)
      ? 'the system has no room for them'
      : `only ${availableBytes} are available`;
    const entries = Object.entries(ledger).map(([name, bytes]) => `${name} ${bytes}`);
    super('OUT_OF_MEMORY', {
      where,
      problem:
        `${requiredBytes} bytes are needed, but ${available}` +
        (entries.length > 0 ? ` (${entries.join(', ')})` : ''),
      nextStep: 'Use a smaller batch or sequence, gradient checkpointing, or a smaller lora_r.',
      details: { ...ledger, requiredBytes, availableBytes },
    });
  }
}

/** Use of an object after its `dispose`. */
export class DisposedError extends QdyloraError {
  constructor(name: string) {
    super('DISPOSED', {
      where: name,
      problem: `the ${name} was used after it was disposed`,
      nextStep: 'Do not use it after dispose().',
    });
  }
}

/** A backend has no kernel for an op, and the reference cannot run in its memory. */
export class MissingKernelError extends QdyloraError {
  constructor(op: string, backend: string) {
    super('MISSING_KERNEL', {
      where: backend,
      problem: `there is no kernel for the op ${op}`,
      nextStep: 'Choose another backend.',
      details: { op, backend },
    });
  }
}

/** An architecture without a forward function; the message lists the supported ones. */
export class UnsupportedArchitectureError extends QdyloraError {
  constructor(where: string, got: string, supported: readonly string[]) {
    super('UNSUPPORTED_ARCHITECTURE', {
      where,
      problem: `the architecture ${got} is not supported. Supported: ${supported.join(', ')}`,
      nextStep: 'Choose another model, or add the family: see CONTRIBUTING.md.',
      details: { got, supported },
    });
  }
}

/** For checks that run a thousand times a step: the message is made only where it is thrown. */
export const badArgument = (where: string, problem: string): QdyloraError =>
  new QdyloraError('BAD_ARGUMENT', { where, problem });

/** Throws `BAD_ARGUMENT` unless `condition` holds. */
export function assertArgument(
  condition: unknown,
  where: string,
  problem: string,
  nextStep?: string,
): asserts condition {
  if (!condition) throw new QdyloraError('BAD_ARGUMENT', { where, problem, nextStep });
}
