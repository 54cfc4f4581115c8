import { spawn } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import { existsSync, mkdirSync, readdirSync, readFileSync, watch, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cleanOrphans, temporaryName } from '@qdylora/checkpoint';
import { QdyloraError } from '@qdylora/contract';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '@qdylora/testing/node';
import {
  assertFolderFree,
  LOCK_FILE,
  lockFolder,
  lockFolderOn,
  thisProcess,
  type LockFileSystem,
} from './lock-folder.ts';

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
    // the lock itself, and the name of its claim
    await expect.poll(() => seen.size).toBeGreaterThan(1);
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

/** A file system that calls `before` at each call. */
const interrupted = (files: LockFileSystem, before: (call: string) => void): LockFileSystem =>
  new Proxy(files, {
    get: (target, name: keyof LockFileSystem) =>
      name in target
        ? (...values: never[]): unknown => {
            before(name);
            return (target[name] as (...all: never[]) => unknown)(...values);
          }
        : undefined,
  });
const failing = (call: keyof LockFileSystem, code: string): LockFileSystem =>
  interrupted(fs, (name) => {
    if (name === call) throw Object.assign(new Error(`${code}: ${call}`), { code });
  });

describe('two processes that lock a folder at the same time', () => {
  const states: [string, (folder: string) => void][] = [
    ['without a lock', () => {}],
    ['with a dead lock', (folder) => writeLock(folder, { ...asJson(), boot_id: 'another boot' })],
    ['with a lock that cannot be read', (folder) => writeFileSync(join(folder, LOCK_FILE), '')],
  ];
  const places: [string, LockFileSystem][] = [
    ['hard links', fs],
    ['no hard links', failing('linkSync', 'EPERM')],
  ];
  const cases = states.flatMap(([state, prepare]) =>
    places.map(([place, files]) => ({ state, place, prepare, files })),
  );

  /** Locks a folder, with a second attempt right before call `at` of the first. Returns who holds it. */
  const held = ({ prepare, files }: (typeof cases)[number], at: number) => {
    const folder = temporaryFolder();
    prepare(folder);
    let calls = 0;
    let second: string | undefined = 'not called';
    const first = codeOf(() =>
      lockFolderOn(
        interrupted(files, () => {
          if (calls++ === at) second = codeOf(() => lockFolderOn(files, folder));
        }),
        folder,
      ),
    );
    return { calls, codes: [first, second], names: readdirSync(folder) };
  };

  it.each(cases)('never both hold it: $state, $place', (one) => {
    let at = 0;
    for (let calls = 1; at < calls; at++) {
      const { codes, names, calls: made } = held(one, at);
      const message = `interrupted at call ${at}`;
      expect(codes.filter((code) => code === undefined).length, message).toBeLessThan(2);
      for (const code of codes) expect([undefined, 'BUSY_FOLDER'], message).toContain(code);
      if (codes.includes(undefined)) expect(names, message).toEqual([LOCK_FILE]);
      calls = made;
    }
    expect(at).toBeGreaterThan(4);
  });

  it('leave the lock to the one that goes on, and a claim of a killed process holds nobody up', async () => {
    const folder = temporaryFolder();
    const pid = await deadPid();
    const claim = temporaryName(join(folder, LOCK_FILE)).replace(`-${process.pid}-`, `-${pid}-`);
    for (const text of ['', JSON.stringify({ ...asJson(), pid })]) {
      writeFileSync(claim, text);
      lockFolder(folder).release();
    }
    writeFileSync(claim, JSON.stringify(asJson()));
    expect(() => lockFolder(folder)).toThrow(claim);
  });
});

describe('a lock on a file system that fails', () => {
  it.each<[keyof LockFileSystem, string]>([
    ['writeFileSync', 'ENOSPC'],
    ['readdirSync', 'EIO'],
    ['readFileSync', 'EACCES'],
    ['linkSync', 'EIO'],
  ])('is no lock of another process: %s with %s is a WRITE_FAILED', (call, code) => {
    const folder = temporaryFolder();
    expect(() => lockFolderOn(failing(call, code), folder)).toThrow(
      expect.objectContaining({ code: 'WRITE_FAILED', details: expect.objectContaining({ code }) as object }),
    );
    expect(readdirSync(folder)).toEqual([]);
  });

  it('without hard links names the failure of the rename', () => {
    const files = interrupted(failing('linkSync', 'ENOTSUP'), (name) => {
      if (name === 'renameSync') throw Object.assign(new Error('EROFS: rename'), { code: 'EROFS' });
    });
    const folder = temporaryFolder();
    expect(() => lockFolderOn(files, folder)).toThrow(/lock\.json could not be created: EROFS/);
  });
});
