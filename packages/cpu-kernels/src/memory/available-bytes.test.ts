import { expect, it } from 'vitest';
import { availableBytes } from './available-bytes.ts';

const GB = 1e9;

/** A container of 8 GB on a machine that can give 50 GB, with these files. */
const availableIn = (available: number, files: Record<string, string>, limit = 8 * GB): number =>
  availableBytes({
    available,
    limit,
    free: 50 * GB,
    readFile(path) {
      if (files[path] === undefined) throw new Error(`ENOENT ${path}`);
      return files[path];
    },
  });

it.each([
  [
    'version 2',
    {
      '/proc/self/cgroup': '0::/\n',
      '/sys/fs/cgroup/memory.stat': 'anon 5\nactive_file 1000000000\ninactive_file 5000000000\n',
    },
  ],
  [
    'version 1',
    {
      '/proc/self/cgroup': '5:memory:/docker/box\n4:cpu:/\n',
      '/sys/fs/cgroup/memory/memory.stat':
        'inactive_file 7\ntotal_inactive_file 5000000000\ntotal_active_file 1000000000\n',
    },
  ],
])('files that a control group of %s has read are available', (_, files) => {
  expect(availableIn(1 * GB, files)).toBe(7 * GB);
  expect(availableIn(3 * GB, files)).toBe(8 * GB); // its limit
});

it('without a limit, or without its files, the number of Node counts', () => {
  const files = { '/proc/self/cgroup': '0::/\n', '/sys/fs/cgroup/memory.stat': 'inactive_file 5000000000\n' };
  expect(availableIn(20 * GB, files, 0)).toBe(20 * GB);
  expect(availableIn(2 * GB, {})).toBe(2 * GB);
});
