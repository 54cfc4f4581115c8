import fc from 'fast-check';
import { expect, test } from 'vitest';
import { arbitrarySeed, normalView } from '@qdylora/testing';
import { dequantize4bit } from './dequantize-nf4.ts';
import { quantize4bit } from './quantize-4bit.ts';
import { serializeBitsandbytes } from './bitsandbytes-layout.ts';
import { tileMatrix, untileMatrix } from './tile-matrix.ts';

const arbitraryMatrix = fc
  .record({
    bands: fc.integer({ min: 1, max: 3 }),
    columns: fc.integer({ min: 1, max: 5 }),
    seed: arbitrarySeed,
    doubleQuantization: fc.boolean(),
  })
  .map(({ bands, columns, seed, doubleQuantization }) => {
    const shape = [32 * bands, 64 * columns] as [number, number];
    return quantize4bit('nf4', { data: normalView(seed, 'w', shape).data, shape }, { doubleQuantization });
  });

test('tiles hold the same weights, and taking them apart gives back every byte', () => {
  fc.assert(
    fc.property(arbitraryMatrix, (matrix) => {
      const tiled = tileMatrix(matrix);
      expect(tiled.tiled).toBe(true);
      expect(dequantize4bit(tiled)).toEqual(dequantize4bit(matrix));
      expect({ ...untileMatrix(tiled), tiled: undefined }).toEqual({ ...matrix, tiled: undefined });
      expect(serializeBitsandbytes('w', tiled)).toEqual(serializeBitsandbytes('w', matrix));
    }),
    { numRuns: 30 },
  );
});

test('row 33, block 1 of a matrix of 64 × 128 stands in the second band, second tile, second row', () => {
  const shape = [64, 128] as [number, number];
  const matrix = quantize4bit(
    'nf4',
    { data: normalView(1, 'w', shape).data, shape },
    { doubleQuantization: false },
  );
  const tiled = tileMatrix(matrix);
  expect(tiled.absmax!.data[1 * 64 + 1 * 32 + 1]).toBe(matrix.absmax!.data[33 * 2 + 1]);
  expect([...tiled.codes.data.subarray(3 * 1024 + 32, 3 * 1024 + 64)]).toEqual([
    ...matrix.codes.data.subarray(33 * 64 + 32, 33 * 64 + 64),
  ]);
});

test('in place, the given arrays become the tiles', () => {
  const shape = [32, 192] as [number, number];
  const matrix = quantize4bit('fp4', { data: normalView(2, 'w', shape).data, shape });
  const want = tileMatrix(matrix);
  const got = tileMatrix(matrix, { inPlace: true });
  expect(got.codes.data).toBe(matrix.codes.data);
  expect(got.codes.data).toEqual(want.codes.data);
  expect(got.doubleQuantized!.codes.data).toEqual(want.doubleQuantized!.codes.data);
});

test('a matrix that has no whole tiles stays as it is', () => {
  const matrix = quantize4bit('nf4', { data: normalView(1, 'w', [33, 64]).data, shape: [33, 64] });
  expect(tileMatrix(matrix)).toBe(matrix);
});
