import { posix } from 'node:path';

/** A control group of this process: its folder below /sys/fs/cgroup, and which version its files have. */
export interface ControlGroup {
  readonly version: 1 | 2;
  readonly folder: string;
}

/**
 * The control groups of this process that may limit `controller`, the innermost first, with their parents.
 *
 * @param read a file's text; empty where there is none
 */
export function controlGroups(controller: string, read: (path: string) => string): ControlGroup[] {
  return read('/proc/self/cgroup')
    .split('\n')
    .flatMap((line): ControlGroup[] => {
      const [, controllers, path] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
      if (path === undefined) return [];
      if (controllers === '')
        return parentsOf(path).map((group) => ({ version: 2, folder: `/sys/fs/cgroup${group}` }));
      if (!controllers!.split(',').includes(controller)) return [];
      return [controllers!, controller].flatMap((mount) =>
        parentsOf(path).map((group): ControlGroup => ({
          version: 1,
          folder: `/sys/fs/cgroup/${mount}${group}`,
        })),
      );
    });
}

/**
 * `/a/b` → `/a/b`, `/a` and the root (''). In a container the path may be the host's: then only the root's
 * file exists.
 */
function parentsOf(path: string): string[] {
  const groups = [];
  for (let group = posix.normalize(path); group !== '/' && group !== '.'; group = posix.dirname(group))
    groups.push(group.replace(/\/$/, ''));
  return [...groups, ''];
}

/** A reader that returns an empty text for a missing file. */
export const orEmpty =
  (readFile: (path: string) => string) =>
  (path: string): string => {
    try {
      return readFile(path);
    } catch {
      return '';
    }
  };
