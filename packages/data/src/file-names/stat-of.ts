import { statSync, type Stats } from 'node:fs';

/**
 * Stats of a path; undefined if nothing is there or it is inaccessible: below a file, after too many links,
 * under a name that is too long, or in a folder without permission.
 */
export function statOf(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}
