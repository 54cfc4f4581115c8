import { statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { openSafetensors, tensorOf, writeSafetensors, type TensorEntry } from '@qdylora/checkpoint';
import { temporaryFolder } from '@qdylora/testing/node';
import { afterAll, expect, it } from 'vitest';
import { createReadingRings, readAhead, STRETCH_BYTES } from './read-ahead.ts';

const root = temporaryFolder();
const {
  rings: [ring, other],
  close,
} = createReadingRings();
afterAll(close);

function openedFile(name: string): ReturnType<typeof openSafetensors> {
  const path = join(root, name);
  const halves = {
    name: 'c',
    dtype: 'BF16',
    shape: [3],
    bytes: new Uint8Array(Uint16Array.of(0x3f80, 0x4000, 0xc040).buffer),
  };
  writeSafetensors(path, [
    tensorOf('a', [2], Float32Array.of(1, 2)),
    tensorOf('b', [2, 2], Float32Array.of(3, 4, 5, 6)),
    halves,
    { ...halves, name: 'd', dtype: 'F16' },
  ]);
  return openSafetensors(path);
}

it('gives the bytes of one tensor after another, each intact while the next are read', async () => {
  using file = openedFile('all');
  const entries = ['b', 'a', 'c', 'd', 'a'].map((name) => file.tensors.get(name)!);
  const chunks: Uint8Array[] = [];
  for await (const bytes of readAhead(ring, entries)) {
    await new Promise((resolve) => setTimeout(resolve, 5)); // the next ones have arrived meanwhile
    chunks.push(bytes.slice());
  }
  expect(chunks).toEqual(entries.map((entry) => entry.readBytes()));
});

it('gives a large tensor in stretches that are its bytes when put together', async () => {
  const path = join(root, 'large');
  const bytes = new Uint8Array(8 * STRETCH_BYTES + 4098);
  for (let i = 0; i < bytes.length; i += 1021) bytes[i] = (i * 31 + (i >> 8)) % 251;
  writeSafetensors(path, [tensorOf('x', [bytes.length], bytes), tensorOf('y', [3], Uint8Array.of(1, 2, 3))]);
  using file = openSafetensors(path);
  const lengths: number[] = [];
  let at = 0;
  for await (const part of readAhead(
    ring,
    ['x', 'y'].map((name) => file.tensors.get(name)!),
  )) {
    if (lengths.push(part.length) < 10)
      expect(Buffer.compare(part, bytes.subarray(at, (at += part.length)))).toBe(0);
    else expect(part).toEqual(Uint8Array.of(1, 2, 3));
  }
  expect(lengths).toEqual([...Array.from({ length: 8 }, () => STRETCH_BYTES), 4098, 3]);
});

it('of two rings, each gives its own bytes while the other is read too', async () => {
  using file = openedFile('two');
  const entries = ['a', 'b', 'c'].map((name) => file.tensors.get(name)!);
  const [one, two] = [readAhead(ring, entries), readAhead(other, [...entries].reverse())];
  for (let i = 0; i < 3; i++) {
    const [{ value: first }, { value: second }] = [await one.next(), await two.next()];
    expect([first, second]).toEqual([entries[i].readBytes(), entries[2 - i].readBytes()]);
  }
});

it(
  'waits for the system where the caller stops, so that the next one has the ring for itself; where a ' +
    'file has shrunk it says so',
  async () => {
    using file = openedFile('short');
    const entries = ['a', 'b', 'c'].map((name) => file.tensors.get(name)!);
    const coming = readAhead(ring, entries);
    await coming.next();
    await coming.return();
    for (const buffer of ring.buffers) buffer.fill(9);
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(ring.buffers.every((buffer) => buffer.every((byte) => byte === 9))).toBe(true);
    truncateSync(join(root, 'short'), statSync(join(root, 'short')).size - 10);
    const readAll = async (list: readonly TensorEntry[]): Promise<void> => {
      for await (const _ of readAhead(ring, list));
    };
    await expect(readAll(entries)).rejects.toMatchObject({ code: 'BAD_FILE' });
  },
);

it('an ended thread leaves no one waiting', async () => {
  const ended = createReadingRings();
  await ended.close();
  using file = openedFile('ended');
  await expect(readAhead(ended.rings[0], [file.tensors.get('a')!]).next()).resolves.toMatchObject({
    value: expect.any(Uint8Array) as Uint8Array,
  }); // small: read through the cache
  await expect(ended.rings[0].read(0, ended.rings[0].buffers[0], 0)).rejects.toMatchObject({
    code: 'DISPOSED',
  });
});
