import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryFolder } from '@qdylora/testing/node';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { createHashedBlocks, PAGE_BYTES, plainBlocks } from './write-blocks.ts';
import { writeFileBehind } from './write-file-behind.ts';

const root = temporaryFolder(), sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

it('files from blocks that a thread hashes, and from plain ones, have the bytes that were given and their hash, one file after another', async () => {
  const hashed = createHashedBlocks({ blockBytes: 2 * PAGE_BYTES }), plain = plainBlocks(2 * PAGE_BYTES), path = join(root, 'any'); // small ones: files have many, and end anywhere in them
  expect(hashed.places.map(({ byteOffset, length }) => [byteOffset, length])).toEqual([0, 1, 2, 3].map((i) => [2 * i * PAGE_BYTES, 2 * PAGE_BYTES]));
  try {
    await fc.assert(fc.asyncProperty(fc.array(fc.nat(20_000), { maxLength: 4 }), async (sizes) => {
      const pieces = sizes.map((size, k) => Uint8Array.from({ length: size }, (_, i) => (i * 31 + k) % 256)), whole = Buffer.concat(pieces);
      for (const blocks of [hashed, plain]) {
        expect(await writeFileBehind(path, pieces, { blocks })).toEqual({ size: whole.length, sha256: sha256(whole) });
        expect(readFileSync(path).equals(whole)).toBe(true);
        rmSync(path);
      }
    }), { numRuns: 30, examples: [[[]], [[2 * PAGE_BYTES]], [[4 * PAGE_BYTES + 1, 0, 3]], [[8 * PAGE_BYTES, 9 * PAGE_BYTES]]] });
  } finally {
    await hashed.close();
  }
});

it('a file that failed leaves nothing in the hash of the next one; after the thread has ended none is written', async () => {
  const blocks = createHashedBlocks({ blockBytes: PAGE_BYTES }), path = join(root, 'next'), bytes = new Uint8Array(9000).fill(7), failing = function* (): Generator<Uint8Array> { yield bytes; throw new Error('no more'); };
  await expect(writeFileBehind(path, failing(), { blocks })).rejects.toThrow('no more');
  expect(await writeFileBehind(path, [bytes], { blocks })).toEqual({ size: 9000, sha256: sha256(bytes) });
  rmSync(path);
  await blocks.close();
  await expect(writeFileBehind(path, [bytes], { blocks })).rejects.toThrow(/hash/);
  expect(readdirSync(root)).toEqual([]);
});
