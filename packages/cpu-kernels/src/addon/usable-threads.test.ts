import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { usableThreads } from './usable-threads.ts';

/** A machine of 8 cores with these files. */
const threadsWith = (files: Record<string, string>, cores = 8): number =>
  usableThreads({
    cores,
    readFile(path) {
      if (files[path] === undefined) throw new Error(`ENOENT ${path}`);
      return files[path];
    },
  });

test('without control groups all cores count', () => {
  expect(threadsWith({})).toBe(8);
  expect(threadsWith({ '/proc/self/cgroup': 'not a control group\n' })).toBe(8);
});

test('a quota of version 2 limits the threads, a part of a core counts as one, and max is no limit', () => {
  const within = (max: string): number =>
    threadsWith({ '/proc/self/cgroup': '0::/\n', '/sys/fs/cgroup/cpu.max': max });
  expect(
    ['200000 100000\n', '150000 100000\n', '1000 100000\n', 'max 100000\n', '1600000 100000\n', ''].map(
      within,
    ),
  ).toEqual([2, 2, 1, 8, 8, 8]);
});

test('a parent group limits too: the least of the path counts', () => {
  const files = {
    '/proc/self/cgroup': '0::/pods/pod1/box\n',
    '/sys/fs/cgroup/pods/pod1/box/cpu.max': 'max 100000',
    '/sys/fs/cgroup/pods/pod1/cpu.max': '300000 100000',
    '/sys/fs/cgroup/pods/cpu.max': '700000 100000',
  };
  expect(threadsWith(files)).toBe(3);
  expect(threadsWith({ ...files, '/sys/fs/cgroup/pods/cpu.max': '100000 50000' })).toBe(2);
});

test("a quota of version 1 is read under either name of its mount, also where the path is the host's", () => {
  const cgroup = '5:memory:/a\n4:cpu,cpuacct:/docker/abc\n0::/\n';
  expect(
    threadsWith({
      '/proc/self/cgroup': cgroup,
      '/sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_quota_us': '400000\n',
      '/sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_period_us': '100000\n',
    }),
  ).toBe(4);
  expect(
    threadsWith({
      '/proc/self/cgroup': cgroup,
      '/sys/fs/cgroup/cpu/cpu.cfs_quota_us': '250000\n',
      '/sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000\n',
    }),
  ).toBe(3);
  expect(
    threadsWith({
      '/proc/self/cgroup': cgroup,
      '/sys/fs/cgroup/cpu/cpu.cfs_quota_us': '-1\n',
      '/sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000\n',
    }),
  ).toBe(8);
});

test('a process that may run on one core only uses one thread', (ctx) => {
  if (!existsSync('/usr/bin/taskset')) return ctx.skip('needs taskset (util-linux)');
  const [core] = /^Cpus_allowed_list:\s*(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))!.slice(1);
  const file = fileURLToPath(new URL('usable-threads.ts', import.meta.url));
  const code = `import(${JSON.stringify(file)}).then(({ usableThreads }) => console.log(usableThreads()))`;
  const { stdout, stderr } = spawnSync(
    '/usr/bin/taskset',
    ['-c', core, process.execPath, '--import', 'tsx', '-e', code],
    { encoding: 'utf8' },
  );
  expect({ stdout: stdout.trim(), stderr }).toEqual({ stdout: '1', stderr: '' });
});
