import { rmdirSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { createFolder } from '@qdylora/checkpoint';

/**
 * Creates a folder and its missing parents.
 *
 * @returns a function that removes the created folders again if they are empty
 * @throws QdyloraError WRITE_FAILED
 */
export function makeFolder(path: string): () => void {
  const outermost = createFolder(path);
  return () => {
    if (outermost === undefined) return;
    try {
      for (let folder = resolve(path); ; folder = dirname(folder)) {
        rmdirSync(folder);
        if (folder === resolve(outermost)) break;
      }
    } catch {
      /* it is no longer empty: it stays, and so do its parents */
    }
  };
}
