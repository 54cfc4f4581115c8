import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryFolder } from '@qdylora/testing/node';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NODE_FILE_SYSTEM } from './file-system.ts';
import { folderFiles } from '../folder/folder-files.ts';
import { STAGING_BYTES, type ReadableBytes } from './readable-bytes.ts';
import { PAGE_BYTES, plainBlocks } from './write-blocks.ts';
import { writeFileAsync } from './write-file-async.ts';
import { streamFile } from './stream-file.ts';

const root = temporaryFolder();
let run = 0;

/** A source that fails where it is asked out of order, twice, for too much, or before it has answered. */
function strictSource(
  bytes: Uint8Array,
  largestPiece = STAGING_BYTES,
): ReadableBytes & { isRead(): boolean } {
  let next = 0;
  let isBusy = false;
  return {
    byteLength: bytes.length,
    isRead: () => next === bytes.length,
    async read(into, byteOffset) {
      if (isBusy || byteOffset !== next || into.length > largestPiece || into.length === 0)
        throw new Error(`asked for ${into.length} bytes at ${byteOffset} after ${next}`);
      isBusy = true;
      next += into.length;
      await new Promise((resolve) => setImmediate(resolve));
      into.set(bytes.subarray(byteOffset, byteOffset + into.length));
      isBusy = false;
    },
  };
}

const somePieces = fc.array(fc.record({ bytes: fc.uint8Array({ maxLength: 90 }), isSource: fc.boolean() }), {
  maxLength: 6,
});

interface Part {
  readonly bytes: Uint8Array;
  readonly isSource: boolean;
}

function piecesOf(list: readonly Part[], largestPiece: number) {
  const pieces: (Uint8Array | ReturnType<typeof strictSource>)[] = list.map(({ bytes, isSource }) =>
    isSource ? strictSource(bytes, largestPiece) : bytes,
  );
  return {
    pieces,
    bytes: Buffer.concat(list.map(({ bytes }) => bytes)),
    areRead: () => pieces.every((piece) => piece instanceof Uint8Array || piece.isRead()),
  };
}

const recordOf = (bytes: Uint8Array) => ({
  size: bytes.length,
  sha256: createHash('sha256').update(bytes).digest('hex'),
});

describe('bytes that are read while a file is written', () => {
  it('give the same file as bytes in memory, and are read once and in order', async () => {
    await fc.assert(
      fc.asyncProperty(somePieces, fc.integer({ min: 1, max: 64 }), async (list, batchBytes) => {
        const folder = join(root, String(run++));
        mkdirSync(folder);
        const files = folderFiles(folder, NODE_FILE_SYSTEM, { batchBytes });
        const { pieces, bytes, areRead } = piecesOf(list, batchBytes);
        await files.write('folder', pieces);
        await files.settled();
        const large = piecesOf(
          list.map(({ bytes: few, isSource }) => ({ bytes: Buffer.alloc(99 * few.length, few), isSource })),
          PAGE_BYTES,
        );
        const record = await writeFileAsync(join(folder, 'blocks'), large.pieces, {
          blocks: plainBlocks(PAGE_BYTES),
        });
        expect([files.records.get('folder'), record]).toEqual([recordOf(bytes), recordOf(large.bytes)]);
        expect([areRead(), large.areRead()]).toEqual([true, true]);
        expect(readFileSync(join(folder, 'folder')).equals(bytes)).toBe(true);
        expect(readFileSync(join(folder, 'blocks')).equals(large.bytes)).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  it('are asked for in pieces of STAGING_BYTES by a writer of one file', async () => {
    const bytes = Buffer.alloc(2 * STAGING_BYTES + 5, 'abc');
    await streamFile(join(root, 'large'), [
      Uint8Array.of(1),
      strictSource(bytes),
      strictSource(bytes.subarray(7)),
    ]);
    const expected = Buffer.concat([Uint8Array.of(1), bytes, bytes.subarray(7)]);
    expect(readFileSync(join(root, 'large')).equals(expected)).toBe(true);
  });

  it('leave nothing where they cannot be read, and the error is theirs', async () => {
    const folder = join(root, 'failed');
    mkdirSync(folder);
    const lost = new Error('the device is lost');
    const failing: ReadableBytes = {
      byteLength: 9,
      async read() {
        throw lost;
      },
    };
    await expect(streamFile(join(folder, 'one'), [failing])).rejects.toBe(lost);
    await expect(writeFileAsync(join(folder, 'two'), [failing])).rejects.toBe(lost);
    expect(readdirSync(folder)).toEqual([]);
  });
});
