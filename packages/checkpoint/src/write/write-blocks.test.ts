import { createHash } from 'node:crypto';
import { closeSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryFolder } from '@qdylora/testing/node';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { createFileThread } from '../thread/file-thread.ts';
import { createHashedBlocks, PAGE_BYTES, plainBlocks } from './write-blocks.ts';
import { writeFileAsync } from './write-file-async.ts';

const root = temporaryFolder();
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

it(
  'files from blocks that one thread hashes and another writes, or the system, and from plain ones, have ' +
    'the bytes that were given and their hash, one file after another',
  async () => {
    const hashed = createHashedBlocks({ blockBytes: 2 * PAGE_BYTES });
    const plain = plainBlocks(2 * PAGE_BYTES);
    const thread = createFileThread({ buffers: 1, bufferBytes: PAGE_BYTES });
    const written = createHashedBlocks({ blockBytes: 2 * PAGE_BYTES, write: thread.write });
    const path = join(root, 'any'); // small ones: files have many, and end anywhere in them
    expect(hashed.buffers.map(({ byteOffset, length }) => [byteOffset, length])).toEqual(
      [0, 1, 2, 3].map((i) => [2 * i * PAGE_BYTES, 2 * PAGE_BYTES]),
    );
    try {
      await fc.assert(
        fc.asyncProperty(fc.array(fc.nat(20_000), { maxLength: 4 }), async (sizes) => {
          const pieces = sizes.map((size, k) =>
            Uint8Array.from({ length: size }, (_, i) => (i * 31 + k) % 256),
          );
          const whole = Buffer.concat(pieces);
          for (const blocks of [hashed, plain, written]) {
            expect(await writeFileAsync(path, pieces, { blocks })).toEqual({
              size: whole.length,
              sha256: sha256(whole),
            });
            expect(readFileSync(path).equals(whole)).toBe(true);
            rmSync(path);
          }
        }),
        {
          numRuns: 30,
          examples: [
            [[]],
            [[2 * PAGE_BYTES]],
            [[4 * PAGE_BYTES + 1, 0, 3]],
            [[8 * PAGE_BYTES, 9 * PAGE_BYTES]],
          ],
        },
      );
    } finally {
      await Promise.all([hashed.close(), written.close(), thread.close()]);
    }
  },
);

it('a failed file leaves no trace in the next hash; none is written after the thread has ended', async () => {
  const blocks = createHashedBlocks({ blockBytes: PAGE_BYTES });
  const path = join(root, 'next');
  const bytes = new Uint8Array(9000).fill(7);
  const failing = function* (): Generator<Uint8Array> {
    yield bytes;
    throw new Error('no more');
  };
  await expect(writeFileAsync(path, failing(), { blocks })).rejects.toThrow('no more');
  expect(await writeFileAsync(path, [bytes], { blocks })).toEqual({ size: 9000, sha256: sha256(bytes) });
  rmSync(path);
  await blocks.close();
  await expect(writeFileAsync(path, [bytes], { blocks })).rejects.toMatchObject({ code: 'DISPOSED' });
  expect(readdirSync(root)).toEqual([]);
});

it("a thread that the system refuses to write for says why, by the system's code, and goes on", async () => {
  const path = join(root, 'read-only');
  const thread = createFileThread({ buffers: 2, bufferBytes: PAGE_BYTES });
  const [bytes, back] = thread.buffers;
  writeFileSync(path, '');
  const reading = openSync(path, 'r');
  const both = openSync(path, 'r+');
  try {
    bytes!.fill(7);
    await expect(thread.write(reading, bytes!, 0)).rejects.toMatchObject({ code: 'EBADF' });
    expect(await thread.write(both, bytes!, 3)).toBe(PAGE_BYTES);
    expect(await thread.read(both, back!, 3)).toMatchObject({ count: PAGE_BYTES });
    expect(back).toEqual(bytes);
    expect(await thread.read(both, back!, PAGE_BYTES + 3)).toMatchObject({ count: 0 });
  } finally {
    await thread.close();
    [reading, both].forEach(closeSync);
    rmSync(path);
  }
});
