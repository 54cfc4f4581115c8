import { statOf } from './stat-of.ts';

/**
 * What two names of one file have in common, also where one is a link to it; the name itself where there is
 * no file.
 */
export function fileIdentity(path: string): string {
  const stat = statOf(path);
  return stat ? `${stat.dev}:${stat.ino}` : path;
}
