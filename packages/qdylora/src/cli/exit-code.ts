import { QdyloraError, type ErrorCode } from '@qdylora/contract';

/** 0 done, 1 failed, 2 bad usage or input, 130 interrupted. */
export type ExitCode = 0 | 1 | 2 | 130;

/** Codes whose cause is what the caller gave: options, files, folders. */
const BAD_INPUT: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'BAD_ARGUMENT',
  'BAD_SHAPE',
  'NON_FINITE',
  'UNSUPPORTED',
  'UNSUPPORTED_ARCHITECTURE',
  'BAD_FILE',
  'MISSING_FILE',
  'MISSING_TENSOR',
  'BAD_CONFIG',
  'BAD_DATA',
  'BAD_ADAPTER',
  'BUSY_FOLDER',
  'NOT_EMPTY',
  'BAD_RESUME',
]);

export function exitCodeOf(error: unknown): ExitCode {
  if (!QdyloraError.isInstance(error)) return 1;
  if (error.code === 'ABORTED') return 130;
  return BAD_INPUT.has(error.code) ? 2 : 1;
}
