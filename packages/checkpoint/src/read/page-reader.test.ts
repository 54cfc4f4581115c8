import { closeSync, openSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryFolder } from '@qdylora/testing/node';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { rejectionOf } from '../test-support/error-of.ts';
import { PAGE_BYTES, createHashedBlocks } from '../write/write-blocks.ts';
import { openByteSource } from './byte-source.ts';
import { PAGES_AROUND, pageReader } from './page-reader.ts';
import type { FileRead } from '../thread/file-thread.ts';

const root = temporaryFolder();
const file = Uint8Array.from({ length: 5 * PAGE_BYTES + 77 }, (_, i) => (i * 31 + (i >> 8)) % 251);
const path = join(root, 'any');
writeFileSync(path, file);

it(
  'any bytes of a file are read, into memory that begins on a page and into any other, past the cache or ' +
    'through it',
  async () => {
    const blocks = createHashedBlocks({ blockBytes: 8 * PAGE_BYTES });
    const [aligned] = blocks.buffers;
    const source = openByteSource(path, 'any');
    try {
      await fc.assert(
        fc.asyncProperty(fc.nat(file.length), fc.nat(file.length), fc.boolean(), async (a, b, onPage) => {
          const [from, to] = [Math.min(a, b), Math.max(a, b)];
          const buffer = onPage
            ? aligned.subarray(0, to - from + PAGES_AROUND)
            : new Uint8Array(to - from + PAGES_AROUND + 1).subarray(1);
          buffer.fill(255);
          expect(await source.readPagesAsync(buffer, { offset: from, length: to - from })).toEqual(
            file.subarray(from, to),
          );
        }),
        {
          numRuns: 60,
          examples: [
            [0, file.length, true],
            [file.length, file.length, true],
            [PAGE_BYTES, 2 * PAGE_BYTES, true],
            [PAGE_BYTES - 1, PAGE_BYTES + 1, false],
          ],
        },
      );
    } finally {
      source.close();
      await blocks.close();
    }
  },
);

it('a refused read past the cache is not tried again; the read through the cache decides', async () => {
  const fd = openSync(path, 'r');
  const offsets: number[] = [];
  const reader = pageReader(fd, async (target, offset) => {
    offsets.push(offset);
    target.set(file.subarray(offset, offset + target.length));
  });
  const buffer = new Uint8Array(PAGES_AROUND + 11).subarray(1); // off a page, and off every block of a disk
  for (const offset of [3, 3])
    expect(await reader.read(buffer, { offset, length: 10 })).toEqual(file.subarray(3, 13));
  expect(offsets).toEqual([3, 3]);
  reader.close();
  closeSync(fd);
});

it('a file that has shrunk is an error, whichever way it is read', async () => {
  const short = join(root, 'short');
  const blocks = createHashedBlocks({ blockBytes: 8 * PAGE_BYTES });
  writeFileSync(short, file);
  const source = openByteSource(short, 'any');
  truncateSync(short, 2 * PAGE_BYTES + 5);
  try {
    for (const buffer of [blocks.buffers[0], new Uint8Array(8 * PAGE_BYTES)])
      await rejectionOf(
        source.readPagesAsync(buffer, { offset: PAGE_BYTES, length: 2 * PAGE_BYTES }),
        'BAD_FILE',
      );
  } finally {
    source.close();
    await blocks.close();
  }
});

it(
  "a caller's own reads are asked for whole pages, and the time that they say decides, not the time that " +
    'they waited',
  async () => {
    const large = join(root, 'large');
    const bytes = Uint8Array.from({ length: 2 ** 20 + 5 }, (_, i) => (i * 7 + (i >> 9)) % 253);
    const reads: [number, number][] = [];
    writeFileSync(large, bytes);
    const fd = openSync(large, 'r');
    const blocks = createHashedBlocks({ blockBytes: 2 ** 21 });
    const [buffer] = blocks.buffers;
    let clock = 0;
    let through = 0;
    const reader = pageReader(
      fd,
      async (target, offset) => {
        through++;
        clock += 10;
        target.set(bytes.subarray(offset, offset + target.length));
      },
      () => clock,
    );
    const read = async (_: number, target: Uint8Array, position: number): Promise<FileRead> => {
      clock += 1000; // it waited for others
      reads.push([position, target.length]);
      target.set(bytes.subarray(position, position + target.length));
      return { count: Math.min(target.length, bytes.length - position), milliseconds: 1 };
    };
    for (let i = 0; i < 5; i++)
      expect(
        Buffer.compare(
          await reader.read(buffer!, { offset: 3, length: 2 ** 20, read }),
          bytes.subarray(3, 3 + 2 ** 20),
        ),
      ).toBe(0);
    reader.close();
    closeSync(fd);
    await blocks.close();
    // where the file system has no way past its cache, all go through it
    expect(through).toBe(reads.length === 0 ? 5 : 1);
    for (const one of reads) expect(one).toEqual([0, 2 ** 20 + PAGE_BYTES]);
  },
);

it('a long read tries a way on its first megabyte, and takes the other one for the rest', async () => {
  const large = join(root, 'larger');
  const length = 3 * 2 ** 20;
  const bytes = Uint8Array.from({ length: length + 99 }, (_, i) => (i * 5 + (i >> 10)) % 249);
  const reads: [string, number, number][] = [];
  writeFileSync(large, bytes);
  const fd = openSync(large, 'r');
  const blocks = createHashedBlocks({ blockBytes: 2 ** 22 });
  const [buffer] = blocks.buffers;
  let clock = 0;
  const reader = pageReader(
    fd,
    async (target, offset) => {
      reads.push(['through', offset, offset + target.length]);
      clock += target.length / 2 ** 20; // 1 MB a millisecond
      target.set(bytes.subarray(offset, offset + target.length));
    },
    () => clock,
  );
  const read = async (_: number, target: Uint8Array, position: number): Promise<FileRead> => {
    reads.push(['past', position, position + target.length]);
    target.set(bytes.subarray(position, position + target.length));
    return { count: Math.min(target.length, bytes.length - position), milliseconds: target.length / 2 ** 21 };
  };
  for (let i = 0; i < 11; i++)
    expect(
      Buffer.compare(
        await reader.read(buffer!, { offset: 70, length, read }),
        bytes.subarray(70, 70 + length),
      ),
    ).toBe(0);
  reader.close();
  closeSync(fd);
  await blocks.close();
  const border = 2 ** 20 + PAGE_BYTES;
  const trial = [
    ['through', 70, border],
    ['past', border, length + PAGE_BYTES],
  ];
  const whole = [['past', 0, length + PAGE_BYTES]];
  if (reads.some(([way]) => way === 'past'))
    expect(reads).toEqual([
      ...trial,
      ...Array<typeof whole>(7).fill(whole).flat(),
      ...trial,
      ...whole,
      ...whole,
    ]); // else the file system has no way past its cache
  else expect(reads.every(([, from, to]) => from === 70 && to === 70 + length)).toBe(true);
});
