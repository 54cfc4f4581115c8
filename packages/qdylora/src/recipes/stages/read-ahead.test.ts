import { statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { openSafetensors, tensorOf, writeSafetensors, type TensorEntry } from '@qdylora/checkpoint';
import { createHostBackend } from '@qdylora/contract';
import { temporaryFolder } from '@qdylora/testing/node';
import { expect, it } from 'vitest';
import { readAhead, STRETCH_BYTES } from './read-ahead.ts';

const root = temporaryFolder(), { memory } = createHostBackend();

function written(name: string): ReturnType<typeof openSafetensors> {
  const path = join(root, name), halves = { name: 'c', dtype: 'BF16', shape: [3], bytes: new Uint8Array(Uint16Array.of(0x3f80, 0x4000, 0xc040).buffer) };
  writeSafetensors(path, [tensorOf('a', [2], Float32Array.of(1, 2)), tensorOf('b', [2, 2], Float32Array.of(3, 4, 5, 6)), halves, { ...halves, name: 'd', dtype: 'F16' }]);
  return openSafetensors(path);
}

it('gives the bytes of one tensor after another, each still there while the next are on their way', async () => {
  using file = written('all');
  const entries = ['b', 'a', 'c', 'd', 'a'].map((name) => file.tensors.get(name)!), seen: Uint8Array[] = [], live = memory.usage().liveBytes;
  for await (const bytes of readAhead(memory, entries)) {
    await new Promise((resolve) => setTimeout(resolve, 5)); // the next ones have arrived meanwhile
    seen.push(bytes.slice());
  }
  expect(seen).toEqual(entries.map((entry) => entry.readBytes()));
  expect(memory.usage().liveBytes).toBe(live);
});

it('gives a large tensor in stretches that are its bytes when put together', async () => {
  const path = join(root, 'large'), bytes = new Uint8Array(4 * STRETCH_BYTES + 4098);
  for (let i = 0; i < bytes.length; i += 1021) bytes[i] = (i * 31 + (i >> 8)) % 251;
  writeSafetensors(path, [tensorOf('x', [bytes.length], bytes), tensorOf('y', [3], Uint8Array.of(1, 2, 3))]);
  using file = openSafetensors(path);
  const lengths: number[] = [];
  let at = 0;
  for await (const part of readAhead(memory, ['x', 'y'].map((name) => file.tensors.get(name)!))) {
    if (lengths.push(part.length) < 6) expect(Buffer.compare(part, bytes.subarray(at, at += part.length))).toBe(0);
    else expect(part).toEqual(Uint8Array.of(1, 2, 3));
  }
  expect(lengths).toEqual([STRETCH_BYTES, STRETCH_BYTES, STRETCH_BYTES, STRETCH_BYTES, 4098, 3]);
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
