import { closeSync, fstatSync, openSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryFolder, withSmallDisk } from '@qdylora/testing/node';
import { expect, it } from 'vitest';
import { fileReserver } from '../src/index.ts';

const reserver = fileReserver();
const reserve = reserver!;
const onLinux = it.skipIf(!reserver); // files are reserved on Linux alone
if (!reserver) console.log('skipped: files cannot be reserved on this system');

function withFile<T>(folder: string, body: (fd: number) => T): T {
  const path = join(folder, 'file');
  const fd = openSync(path, 'wx+');
  try {
    return body(fd);
  } finally {
    closeSync(fd);
    unlinkSync(path);
  }
}

onLinux('reserves real blocks, not only a size', () => {
  withFile(temporaryFolder(), (fd) => {
    reserve(fd, 3 * 2 ** 20);
    expect(fstatSync(fd).size).toBe(3 * 2 ** 20);
    expect(fstatSync(fd).blocks * 512).toBeGreaterThanOrEqual(3 * 2 ** 20);
  });
});

onLinux("says with the system's code what it cannot do", (context) => {
  expect(() => reserve(-1, 4096)).toThrow(expect.objectContaining({ code: 'EBADF' }));
  for (const [fd, bytes] of [
    ['abc', 10],
    [1.5, 10],
    [3, 0],
    [3, NaN],
    [3, 'x'],
  ])
    expect(() => reserve(fd as number, bytes as number)).toThrow(
      expect.objectContaining({ code: 'BAD_ARGUMENT' }),
    );
  withSmallDisk(context, (folder) => {
    withFile(folder, (fd) => {
      expect(() => reserve(fd, 2 ** 20)).toThrow(expect.objectContaining({ code: 'ENOSPC' }));
    });
  });
});
