import { statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openSafetensors, tensorOf, writeSafetensors, type TensorEntry } from '@qdylora/checkpoint';
import { createHostBackend, elementsOf, type ArrayView } from '@qdylora/contract';
import { temporaryFolder } from '@qdylora/testing/node';
import { expect, it } from 'vitest';
import { readAhead } from './read-ahead.ts';

const root = temporaryFolder(), { memory } = createHostBackend();

function written(name: string): ReturnType<typeof openSafetensors> {
  const path = join(root, name), halves = { name: 'c', dtype: 'BF16', shape: [3], bytes: new Uint8Array(Uint16Array.of(0x3f80, 0x4000, 0xc040).buffer) };
  writeSafetensors(path, [tensorOf('a', [2], Float32Array.of(1, 2)), tensorOf('b', [2, 2], Float32Array.of(3, 4, 5, 6)), halves, { ...halves, name: 'd', dtype: 'F16' }]);
  return openSafetensors(path);
}

it('gives the values of one tensor after another, each still there while the next is on its way', async () => {
  using file = written('all');
  const entries = ['b', 'a', 'c', 'd', 'a'].map((name) => file.tensors.get(name)!), seen: unknown[] = [], live = memory.usage().liveBytes;
  for await (const values of readAhead(memory, entries)) {
    await new Promise((resolve) => setTimeout(resolve, 5)); // the next one has arrived meanwhile
    seen.push('strides' in values ? [values.dtype, ...elementsOf(values as ArrayView)] : values);
  }
  expect(seen).toEqual([['f32', 3, 4, 5, 6], ['f32', 1, 2], ['bf16', 0x3f80, 0x4000, 0xc040], entries[3], ['f32', 1, 2]]);
  expect(memory.usage().liveBytes).toBe(live);
});

it('gives values that begin at any byte of a file', async () => {
  const path = join(root, 'odd'), json = Buffer.from(JSON.stringify({ u: { dtype: 'U8', shape: [1], data_offsets: [0, 1] }, f: { dtype: 'F32', shape: [3], data_offsets: [1, 13] }, h: { dtype: 'BF16', shape: [2], data_offsets: [13, 17] } }));
  const length = Buffer.alloc(8), header = Buffer.concat([json, Buffer.alloc(-json.length & 7, ' ')]);
  length.writeBigUInt64LE(BigInt(header.length));
  writeFileSync(path, Buffer.concat([length, header, Uint8Array.of(9), Buffer.from(Float32Array.of(1, -2, 3.5).buffer), Buffer.from(Uint16Array.of(0x3f80, 0x4000).buffer)]));
  using file = openSafetensors(path);
  const seen: number[][] = [];
  for await (const values of readAhead(memory, ['f', 'h'].map((name) => file.tensors.get(name)!))) seen.push(Array.from(elementsOf(values as ArrayView)));
  expect(seen).toEqual([[1, -2, 3.5], [0x3f80, 0x4000]]);
});

it('waits for the system and gives its memory back where the caller stops, and where a file has shrunk', async () => {
  using file = written('short');
  const live = memory.usage().liveBytes, entries = ['a', 'b', 'c'].map((name) => file.tensors.get(name)!), coming = readAhead(memory, entries);
  await coming.next();
  await coming.return();
  expect(memory.usage().liveBytes).toBe(live);
  truncateSync(join(root, 'short'), statSync(join(root, 'short')).size - 10);
  const readAll = async (list: readonly TensorEntry[]): Promise<void> => { for await (const _ of readAhead(memory, list)); };
  await expect(readAll(entries)).rejects.toMatchObject({ code: 'BAD_FILE' });
  expect(memory.usage().liveBytes).toBe(live);
});
