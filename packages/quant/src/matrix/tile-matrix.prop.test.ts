import { hostData, viewOf } from '@qdylora/contract';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { arbitrarySeed, normalView } from '@qdylora/testing';
import { dequantize4bit } from '../dequantize-nf4.ts';
import { quantize4bit } from '../quantize-4bit.ts';
import { serializeBitsandbytes } from '../bitsandbytes/bitsandbytes-layout.ts';
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
    return quantize4bit(
      'nf4',
      { data: hostData(normalView(seed, 'w', shape)), shape },
      { doubleQuantization },
    );
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

test('codes that start at any byte become the same tiles, also in place', () => {
  fc.assert(
    fc.property(arbitraryMatrix, fc.integer({ min: 1, max: 3 }), fc.boolean(), (matrix, start, inPlace) => {
      const codes = hostData(matrix.codes);
      const room = new Uint8Array(codes.length + start);
      room.set(codes, start);
      const shifted = { ...matrix, codes: viewOf('u8', matrix.codes.shape, room.subarray(start)) };
      const want = tileMatrix(matrix);
      const got = tileMatrix(shifted, { inPlace });
      expect(hostData(got.codes)).toEqual(hostData(want.codes));
      expect(hostData(untileMatrix(got).codes)).toEqual(codes);
    }),
    { numRuns: 30 },
  );
});

test('row 33, block 1 of a matrix of 64 × 128 stands in the second band, second tile, second row', () => {
  const shape = [64, 128] as [number, number];
  const matrix = quantize4bit(
    'nf4',
    { data: hostData(normalView(1, 'w', shape)), shape },
    { doubleQuantization: false },
  );
  const tiled = tileMatrix(matrix);
  expect(hostData(tiled.absmax!)[1 * 64 + 1 * 32 + 1]).toBe(hostData(matrix.absmax!)[33 * 2 + 1]);
  expect([...hostData(tiled.codes).subarray(3 * 1024 + 32, 3 * 1024 + 64)]).toEqual([
    ...hostData(matrix.codes).subarray(33 * 64 + 32, 33 * 64 + 64),
  ]);
});

test('in place, the given arrays become the tiles', () => {
  const shape = [32, 192] as [number, number];
  const matrix = quantize4bit('fp4', { data: hostData(normalView(2, 'w', shape)), shape });
  const want = tileMatrix(matrix);
  const got = tileMatrix(matrix, { inPlace: true });
  expect(hostData(got.codes)).toBe(hostData(matrix.codes));
  expect(hostData(got.codes)).toEqual(hostData(want.codes));
  expect(hostData(got.doubleQuantized!.codes)).toEqual(hostData(want.doubleQuantized!.codes));
});

test('a matrix that has no whole tiles stays as it is', () => {
  const matrix = quantize4bit('nf4', { data: hostData(normalView(1, 'w', [33, 64])), shape: [33, 64] });
  expect(tileMatrix(matrix)).toBe(matrix);
});
