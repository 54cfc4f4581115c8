import { existsSync, mkdirSync, rmdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';

/**
 * Creates a folder and its missing parents. Node's `recursive` option never returns if an existing folder
 * accepts no entries and reports ENOENT, as /proc does (Node 20, 2026).
 *
 * @returns a function that removes the created folders again if they are empty
 */
export function makeFolder(path: string): () => void {
  const newFolders = makeMissing(path);
  return () => {
    try {
      for (const folder of newFolders) rmdirSync(folder);
    } catch {
      /* it is no longer empty: it stays, and so do its parents */
    }
  };
}

/** Creates missing folders. Returns them, innermost first. */
function makeMissing(path: string): string[] {
  try {
    mkdirSync(path);
    return [path];
  } catch (error) {
    const { code } = error as { code?: string };
    if (code === 'EEXIST' && statSync(path).isDirectory()) return [];
    if (code !== 'ENOENT' || existsSync(dirname(path))) throw error;
    const above = makeMissing(dirname(path));
    return [...makeMissing(path), ...above];
  }
}
