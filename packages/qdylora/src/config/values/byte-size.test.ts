import { expect, it } from 'vitest';
import { readByteSize } from './byte-size.ts';

it.each([
  ['1TB', 1e12],
  ['2 TiB', 2 ** 41],
  ['4G', 4e9],
  ['1.5m', 1.5e6],
  ['64K', 64e3],
  ['1PB', null],
  ['4Gi', null],
])('%j is %s bytes', (text, bytes) => {
  expect(readByteSize(text)).toBe(bytes);
});
