import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { MemoryFileSystem, temporaryFolder } from '@qdylora/testing/node';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { folderFiles } from './folder-files.ts';
import { NODE_FILE_SYSTEM } from '../write/file-system.ts';

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

  it(
    'are durable when they are settled; a failure at any call is told by then, never forgotten by a later ' +
      'sync that succeeds, and no file stays open',
    async () => {
      let failures = 0;
      await fc.assert(
        fc.asyncProperty(
          someFiles,
          small,
          fc.nat(40),
          fc.constantFrom('EIO', 'ENOSPC', 'short', null),
          async (contents, options, call, error) => {
            const disk = new MemoryFileSystem();
            const opened = new Set<number>();
            disk.fs.mkdirSync('/run');
            const fs = new Proxy(disk.fs, {
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
            const before = disk.calls;
            const files = folderFiles('/run', fs, options);
            if (error) disk.failAt(before + call, error);
            let failure: unknown = null;
            try {
              for (const [i, pieces] of contents.entries()) await files.write(`file ${i}`, pieces);
            } catch (cause) {
              failure = cause;
            }
            await files.settled().catch((cause: unknown) => {
              failure ??= cause;
            });
            const isHit = call > 0 && disk.calls >= before + call && error !== null && error !== 'short';
            expect(opened.size).toBe(0);
            if (failure) failures++;
            if (!isHit) expect(failure).toBeNull();
            if (failure) {
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
          },
        ),
        { numRuns: 300 },
      );
      expect(failures).toBeGreaterThan(20);
    },
  );
});
