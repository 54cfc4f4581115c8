import { join } from 'node:path';
import { temporaryFolder } from '@qdylora/testing/node';

export * from './tiny-files.ts';

/** A folder that goes away when the test file ends, and the paths in it. */
export function temporaryPlace(parent?: string): { readonly path: string; in(name: string): string } {
  const path = temporaryFolder(parent);
  return { path, in: (name) => join(path, name) };
}
