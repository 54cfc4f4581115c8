import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { MemoryFileSystem, temporaryFolder } from '@qdylora/testing/node';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { folderFiles, type OwnedFolderFiles } from './folder-files.ts';
import { NODE_FILE_SYSTEM, type FileSystem } from '../write/file-system.ts';

const someFiles = fc.array(fc.array(fc.uint8Array({ maxLength: 90 }), { maxLength: 6 }), {
  minLength: 1,
  maxLength: 3,
});
/** Small enough that pieces are cut, lists are of several pieces, and files are synced more than once. */
const small = fc.record({
  batchBytes: fc.integer({ min: 1, max: 64 }),
  syncBytes: fc.integer({ min: 1, max: 64 }),
});
const recordOf = (pieces: readonly Uint8Array[]) => {
  const bytes = Buffer.concat(pieces);
  return { size: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') };
};

describe('files of a folder that are hashed on their way to the disk', () => {
  it('have the bytes of their pieces, on any disk, and their records have size and hash', async () => {
    const folder = temporaryFolder();
    let run = 0;
    await fc.assert(
      fc.asyncProperty(someFiles, small, async (contents, options) => {
        const at = join(folder, String(run++));
        mkdirSync(at);
        const files = folderFiles(at, NODE_FILE_SYSTEM, options);
        for (const [i, pieces] of contents.entries()) await files.write(`file ${i}`, pieces);
        await files.settled();
        expect([...files.records]).toEqual(contents.map((pieces, i) => [`file ${i}`, recordOf(pieces)]));
        for (const [i, pieces] of contents.entries())
          expect(readFileSync(join(at, `file ${i}`)).equals(Buffer.concat(pieces))).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  it('have the same bytes where a short piece and a long one share a buffer', async () => {
    const folder = temporaryFolder();
    const lengths = [10, 100_000, 70_000, 5];
    function* reused(): Generator<Uint8Array> {
      const buffer = new Uint8Array(100_000);
      for (const [i, length] of lengths.entries()) yield buffer.fill(i + 1).subarray(0, length);
      buffer.fill(0);
    }
    const files = folderFiles(folder, NODE_FILE_SYSTEM);
    await files.write('file', reused());
    await files.settled();
    const whole = Buffer.concat(lengths.map((length, i) => Buffer.alloc(length, i + 1)));
    expect(readFileSync(join(folder, 'file')).equals(whole)).toBe(true);
  });

  it('have the same bytes where all pieces share one buffer, overwritten at each request', async () => {
    const folder = temporaryFolder();
    let run = 0;
    function* reused(pieces: readonly Uint8Array[]): Generator<Uint8Array> {
      const buffer = new Uint8Array(90);
      for (const piece of pieces) {
        buffer.fill(0).set(piece);
        yield buffer.subarray(0, piece.length);
      }
      buffer.fill(0);
    }
    await fc.assert(
      fc.asyncProperty(someFiles, small, async (contents, options) => {
        const at = join(folder, String(run++));
        mkdirSync(at);
        const files = folderFiles(at, NODE_FILE_SYSTEM, options);
        for (const [i, pieces] of contents.entries()) await files.write(`file ${i}`, reused(pieces));
        await files.settled();
        expect([...files.records]).toEqual(contents.map((pieces, i) => [`file ${i}`, recordOf(pieces)]));
        for (const [i, pieces] of contents.entries())
          expect(readFileSync(join(at, `file ${i}`)).equals(Buffer.concat(pieces))).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  it('are durable when they are settled; a failure is told by then, and no file stays open', async () => {
    let failures = 0;
    const someErrors = fc.constantFrom('EIO', 'ENOSPC', 'short', null);
    await fc.assert(
      fc.asyncProperty(someFiles, small, fc.nat(40), someErrors, async (contents, options, call, error) => {
        const disk = new MemoryFileSystem();
        disk.fs.mkdirSync('/run');
        const { fs, opened } = countingOpenFiles(disk.fs);
        const before = disk.calls;
        if (error) disk.failAt(before + call, error);
        const failure = await failureOf(folderFiles('/run', fs, options), contents);
        const isHit = call > 0 && disk.calls >= before + call && error !== null && error !== 'short';
        expect(opened.size).toBe(0);
        if (failure) failures++;
        if (!isHit) expect(failure).toBeNull();
        if (failure) {
          // a later sync that succeeds does not hide it
          expect((failure as { code?: string }).code).toBe(error);
          return;
        }
        disk.failAt(Infinity, 'EIO');
        disk.fs.fsyncSync(disk.fs.openSync('/run', 'r')); // their names
        disk.fs.fsyncSync(disk.fs.openSync('/', 'r'));
        disk.restart('lost');
        expect(disk.files().map(([name, bytes]) => [name, Buffer.from(bytes)])).toEqual(
          contents.map((pieces, i) => [`/run/file ${i}`, Buffer.concat(pieces)]),
        );
      }),
      { numRuns: 300 },
    );
    expect(failures).toBeGreaterThan(20);
  });
});

/** A file system, and the files that are open in it. */
function countingOpenFiles(fs: FileSystem): { readonly fs: FileSystem; readonly opened: Set<number> } {
  const opened = new Set<number>();
  const counting = new Proxy(fs, {
    get: (target, name) => {
      if (name === 'openSync')
        return (...parameters: [string, string]) => {
          const fd = target.openSync(...parameters);
          opened.add(fd);
          return fd;
        };
      if (name === 'closeSync')
        return (fd: number) => {
          opened.delete(fd);
          target.closeSync(fd);
        };
      return (target[name as 'fsync'] as (...parameters: unknown[]) => unknown).bind(target);
    },
  });
  return { fs: counting, opened };
}

/** The first error of writing and settling the files; null where there is none. */
async function failureOf(files: OwnedFolderFiles, contents: readonly Uint8Array[][]): Promise<unknown> {
  let failure: unknown = null;
  try {
    for (const [i, pieces] of contents.entries()) await files.write(`file ${i}`, pieces);
  } catch (cause) {
    failure = cause;
  }
  await files.settled().catch((cause: unknown) => {
    failure ??= cause;
  });
  return failure;
}
