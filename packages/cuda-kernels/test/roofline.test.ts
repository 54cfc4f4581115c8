import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { rooflineTable } from '../bench/roofline.ts';
import { cudaOpNames } from '../src/index.ts';

const rows = rooflineTable()
  .trimEnd()
  .split('\n')
  .slice(1)
  .map((line) => line.split('\t'));

test('the table of floors is the one in the file', () => {
  expect(readFileSync(new URL('../bench/roofline.tsv', import.meta.url), 'utf8')).toBe(rooflineTable());
});

test('a floor is that of the bytes or of the operations, whichever is higher', () => {
  // 2 · 2048 · 4096 · 11008 operations at 989.4 TFLOP/s
  const product = rows.find(([op, , count]) => op === 'linear' && count === '2048')!;
  expect(Number(product[4])).toBe(2 * 2048 * 4096 * 11008);
  expect(Number(product[5])).toBeCloseTo((2 * 2048 * 4096 * 11008) / 989.4e6, 1);
  // one token reads the weight once: 90 MB in bfloat16, and a quarter of it, with scales, in 4 bits
  const decoding = (name: string): number =>
    Number(rows.find(([op, , count]) => op === name && count === '1')![5]);
  expect(decoding('linear')).toBeCloseTo((2 * 4096 * 11008) / 3.35e6, 0);
  expect(decoding('matmul-nf4') / decoding('linear')).toBeCloseTo((1 / 2 + 4 / 64) / 2, 2);
});

test('every op with a kernel has a row, and no other', () => {
  expect(new Set(rows.map(([op]) => op))).toEqual(cudaOpNames());
});
