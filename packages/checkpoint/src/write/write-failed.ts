import { QdyloraError } from '@qdylora/contract';

const NEXT_STEPS: Readonly<Record<string, string>> = {
  ENOSPC: 'The disk is full: free some space or choose another folder.',
  EDQUOT: 'The quota is used up: free some space or choose another folder.',
  EFBIG: 'The file system or a limit (ulimit -f) allows no file of this size.',
  EROFS: 'The file system is read-only: choose another folder.',
  EACCES: 'Check the permissions of the folder.',
  EPERM: 'Check the permissions of the folder.',
  EIO: 'The disk reports an error: choose another one.',
  EMFILE: 'Too many files are open: raise the limit (ulimit -n).',
  ENFILE: 'Too many files are open on this machine.',
  ENOENT: 'Check that the folder exists.',
};

/**
 * The error for a failed write, with the system's error as its cause. Errors of this project are returned
 * unchanged.
 */
export function writeFailed(path: string, cause: unknown): unknown {
  const code = (cause as { code?: unknown } | null)?.code;
  if (QdyloraError.isInstance(cause) || typeof code !== 'string') return cause;
  return new QdyloraError('WRITE_FAILED', {
    where: 'write',
    problem: `${path} could not be written: ${(cause as Error).message}.`,
    nextStep: NEXT_STEPS[code] ?? 'Try again, or choose another folder.',
    details: { path, code },
    cause,
  });
}
