import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { QdyloraError } from '@qdylora/contract';

/** Makes a folder for temporary files of this process. @throws QdyloraError WRITE_FAILED */
export function temporaryFolder(prefix: string): string {
  const parent = tmpdir();
  try {
    return mkdtempSync(join(parent, prefix));
  } catch (cause) {
    throw new QdyloraError('WRITE_FAILED', {
      where: 'TMPDIR',
      problem: `Temporary files cannot be written to ${parent}: ${(cause as Error).message}`,
      nextStep: 'Set TMPDIR to a folder that can be written.',
      details: { path: parent, code: (cause as { code?: unknown }).code },
      cause,
    });
  }
}
