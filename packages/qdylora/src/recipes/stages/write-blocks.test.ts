import { createHash } from 'node:crypto';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { openSafetensors, PAGE_BYTES, tensorOf, writeSafetensorsBehind, type WriteBlocks } from '@qdylora/checkpoint';
import { createHostBackend } from '@qdylora/contract';
import { createCpuBackend } from '@qdylora/cpu-kernels';
import { temporaryFolder } from '@qdylora/testing/node';
import { expect, it } from 'vitest';
import { writeBlocks } from './write-blocks.ts';

const root = temporaryFolder();

/** Blocks of two pages, so that small files have many and their ends lie everywhere. */
const shortened = (blocks: WriteBlocks): WriteBlocks => [blocks[0].subarray(0, 2 * PAGE_BYTES), blocks[1].subarray(0, 2 * PAGE_BYTES)];

it('files from pages of the kernels\' memory, and from any memory, have the bytes that were given', async () => {
  using backend = await createCpuBackend({ threads: 1 });
  const cpu = writeBlocks(backend.memory), host = writeBlocks(createHostBackend().memory), path = join(root, 'any.safetensors');
  expect([cpu[0].length, cpu[1].byteOffset - cpu[0].byteOffset, cpu[0].byteOffset % PAGE_BYTES]).toEqual([cpu[0].length, cpu[0].length, 0]);
  for (const size of [0, 4000, 16384 - 88, 24576, 100_003]) {
    const values = Uint8Array.from({ length: size }, (_, i) => (i * 31 + size) % 256), written: string[] = [];
    for (const blocks of [size > 0 ? shortened(cpu) : cpu, shortened(host)]) {
      const { size: bytes, sha256 } = await writeSafetensorsBehind(path, [tensorOf('x', [size], values)], { blocks }), file = readFileSync(path);
      expect([file.length, createHash('sha256').update(file).digest('hex')]).toEqual([bytes, sha256]);
      using opened = openSafetensors(path);
      expect(opened.tensors.get('x')!.readBytes()).toEqual(values);
      written.push(sha256);
      rmSync(path);
    }
    expect(new Set(written).size).toBe(1);
  }
});
