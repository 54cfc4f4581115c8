import { statSync, type Stats } from 'node:fs';

/**
 * What lies at a path; undefined where nothing does, or nothing that could be looked at: below a file, behind
 * too many links, under a name that is too long, in a folder that may not be entered.
 */
export function statOf(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}
