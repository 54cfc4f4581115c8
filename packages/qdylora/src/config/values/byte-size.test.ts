import { expect, it } from 'vitest';
import { byteSizeText, readByteSize } from './byte-size.ts';

it.each([
  ['64KiB', 65536],
  ['1.5 GB', 1.5e9],
  ['64mb', 64e6],
  ['1TB', 1e12],
  ['2 TiB', 2 ** 41],
  ['4G', 4e9],
  ['1.5m', 1.5e6],
  ['64K', 64e3],
  ['4194304', 4194304],
  ['3B', 3],
  ['1PB', null],
  ['4Gi', null],
  ['4096', null],
  ['32', null],
  ['3XB', null],
  ['-1', null],
  ['', null],
])('%j is %s bytes', (text, bytes) => {
  expect(readByteSize(text)).toBe(bytes);
});

it.each([
  [12, '12 B'],
  [4896, '4.9 kB'],
  [19584, '20 kB'],
  [312e3, '0.3 MB'],
  [112e6, '112 MB'],
  [25.28e9, '25.28 GB'],
])('%s reads %s', (bytes, text) => {
  expect(byteSizeText(bytes)).toBe(text);
});
