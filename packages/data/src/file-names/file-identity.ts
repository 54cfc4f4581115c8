import { statOf } from './stat-of.ts';

/** An identity that all names of one file share, links included; the name itself if there is no file. */
export function fileIdentity(path: string): string {
  const stat = statOf(path);
  return stat ? `${stat.dev}:${stat.ino}` : path;
}
