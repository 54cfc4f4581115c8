import { expandGlobs } from './expand-globs.ts';
import { fileIdentity } from './file-identity.ts';

/**
 * Files that both lists of names match, named as in the first list. @throws QdyloraError MISSING_FILE for a
 * pattern that matches no file
 */
export function sharedFiles(names: readonly string[], others: readonly string[]): string[] {
  const known = new Set(expandGlobs(others).flat().map(fileIdentity));
  return [...new Set(expandGlobs(names).flat())].filter((file) => known.has(fileIdentity(file)));
}
