import { existsSync, mkdirSync, rmdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';

/**
 * A folder with those above it. Node's own `recursive` never returns where a folder that is there takes no
 * entry and says ENOENT, as /proc does (Node 20, 2026).
 *
 * @returns takes back the folders that this made, as far as they are empty
 */
export function makeFolder(path: string): () => void {
  const newFolders = makeMissing(path);
  return () => {
    try {
      for (const folder of newFolders) rmdirSync(folder);
    } catch {
      /* something has come into it: it stays, and those above it */
    }
  };
}

/** The folders that were not there, the innermost first. */
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
