import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, watch, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cleanOrphans } from '@qdylora/checkpoint';
import { QdyloraError } from '@qdylora/contract';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '@qdylora/testing/node';
import { assertFolderFree, LOCK_FILE, lockFolder, thisProcess } from './lock-folder.ts';

const writeLock = (folder: string, holder: object): void =>
  writeFileSync(join(folder, LOCK_FILE), JSON.stringify(holder));
const asJson = ({ pid, host, bootId, startTime } = thisProcess()) => ({
  pid,
  host,
  boot_id: bootId,
  start_time: startTime,
});
const codeOf = (run: () => unknown): string | undefined => {
  try {
    run();
  } catch (error) {
    return QdyloraError.isInstance(error) ? error.code : String(error);
  }
  return undefined;
};

/** The number of a process that has ended. */
async function deadPid(): Promise<number> {
  const child = spawn(process.execPath, ['-e', '']);
  await once(child, 'exit');
  return child.pid!;
}

describe('a folder lock', () => {
  it('keeps a second holder out until it is released', () => {
    const folder = temporaryFolder();
    const lock = lockFolder(folder);
    expect(codeOf(() => lockFolder(folder))).toBe('BUSY_FOLDER');
    lock.release();
    expect(lockFolder(folder).tookOver).toBeNull();
  });

  it('makes the folder if need be, and leaves nothing but the lock file', () => {
    const folder = join(temporaryFolder(), 'a', 'b');
    lockFolder(folder);
    expect(readdirSync(folder)).toEqual([LOCK_FILE]);
  });

  it('takes back the folders that it made where nothing has come into them, and no others', () => {
    const parent = temporaryFolder();
    lockFolder(join(parent, 'a', 'b')).release();
    expect(readdirSync(parent)).toEqual([]);
    mkdirSync(join(parent, 'empty'));
    lockFolder(join(parent, 'empty')).release();
    const lock = lockFolder(join(parent, 'used', 'run'));
    writeFileSync(join(parent, 'used', 'run', 'file'), 'x');
    lock.release();
    expect(readdirSync(parent).sort()).toEqual(['empty', 'used']);
    expect(readdirSync(join(parent, 'used', 'run'))).toEqual(['file']);
  });

  it('of a folder that takes no entry is an error, and no endless loop', ({ skip }) => {
    skip(!existsSync('/proc/self'), 'only Linux has a folder that is there and says ENOENT');
    for (const folder of ['/proc/qdylora', '/proc/qdylora/below'])
      expect(codeOf(() => lockFolder(folder))).toBe('WRITE_FAILED');
    const file = join(temporaryFolder(), 'file');
    writeFileSync(file, '');
    for (const folder of [file, join(file, 'below')])
      expect(codeOf(() => lockFolder(folder))).toBe('WRITE_FAILED');
  });

  it('of a process that is gone is taken over', async () => {
    const folder = temporaryFolder();
    const pid = await deadPid();
    writeLock(folder, { ...asJson(), pid });
    expect(lockFolder(folder).tookOver).toBe(`took over the lock of process ${pid}, which is gone`);
    expect(readdirSync(folder)).toEqual([LOCK_FILE]);
    expect(JSON.parse(readFileSync(join(folder, LOCK_FILE), 'utf8'))).toMatchObject({ pid: process.pid });
  });

  it('is seen by who only looks, and a dead one is left for who locks, who is then told of it', async () => {
    const folder = temporaryFolder();
    const pid = await deadPid();
    expect(codeOf(() => assertFolderFree(folder))).toBeUndefined();
    expect(readdirSync(folder)).toEqual([]);
    writeLock(folder, { ...asJson(), pid });
    expect(codeOf(() => assertFolderFree(folder))).toBeUndefined();
    expect(lockFolder(folder).tookOver).toContain(`process ${pid}`);
    expect(codeOf(() => assertFolderFree(folder))).toBe('BUSY_FOLDER');
  });

  it('uses only temporary names that the next run clears, should its process be killed', async () => {
    const folder = temporaryFolder();
    const seen = new Set<string>();
    writeLock(folder, { ...asJson(), boot_id: 'another boot' });
    const watcher = watch(folder, (_, name) => {
      seen.add(String(name));
    });
    lockFolder(folder);
    // the lock itself, its first name, and the name that the dead one went by
    await expect.poll(() => seen.size).toBeGreaterThan(2);
    watcher.close();
    for (const name of seen) if (name !== LOCK_FILE) mkdirSync(join(folder, name));
    expect(cleanOrphans(folder, { isAlone: true }).removed.length).toBe(seen.size - 1);
    expect(readdirSync(folder)).toEqual([LOCK_FILE]);
  });

  it('of another boot is taken over, even if a process of that number lives', () => {
    const folder = temporaryFolder();
    writeLock(folder, { ...asJson(), boot_id: 'another boot' });
    expect(lockFolder(folder).tookOver).not.toBeNull();
  });

  it('of an earlier process that had our number is taken over', ({ skip }) => {
    skip(!existsSync('/proc/self/stat'), 'this system has no /proc');
    const folder = temporaryFolder();
    writeLock(folder, { ...asJson(), start_time: '1' });
    expect(lockFolder(folder).tookOver).not.toBeNull();
  });

  it('of another machine is respected, since nobody here can tell', () => {
    const folder = temporaryFolder();
    writeLock(folder, { ...asJson(), host: 'elsewhere', pid: 1 });
    expect(() => lockFolder(folder)).toThrow(/process 1 on elsewhere.*delete the lock file/);
  });

  it.each(['', '{', '[]', '{"pid":"1"}', '{"pid":1}', 'null'])('that reads %j is taken over', (text) => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, LOCK_FILE), text);
    expect(lockFolder(folder).tookOver).toBe('took over a lock that nobody can read');
  });

  it('released late does not remove the lock of the next holder', () => {
    const folder = temporaryFolder();
    const lock = lockFolder(folder);
    lock.release();
    const next = lockFolder(folder);
    lock.release();
    expect(codeOf(() => lockFolder(folder))).toBe('BUSY_FOLDER');
    next.release();
  });

  it('in a place that cannot be written to is a WRITE_FAILED', () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'file'), '');
    expect(codeOf(() => lockFolder(join(folder, 'file')))).toBe('WRITE_FAILED');
  });
});
