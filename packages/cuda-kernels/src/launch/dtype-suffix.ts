import { QdyloraError, type ArrayView } from '@qdylora/contract';

const SUFFIXES: Readonly<Record<string, string>> = { f32: 'F32', bf16: 'Bf16' };

/**
 * The end of a kernel's name for the dtype of an array: `rmsNorm${dtypeSuffix(y)}`.
 *
 * @throws QdyloraError UNSUPPORTED for a dtype other than f32 and bf16
 */
export function dtypeSuffix({ dtype }: ArrayView): string {
  const suffix = SUFFIXES[dtype];
  if (!suffix)
    throw new QdyloraError('UNSUPPORTED', {
      where: 'cuda',
      problem: `a kernel's array must be ${Object.keys(SUFFIXES).join(' or ')} (got ${dtype})`,
    });
  return suffix;
}
