import { createHostBackend, elementCount, f32View, hostData, runOp } from '@qdylora/contract';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { arbitraryMatrix } from '../../test/arbitrary-matrix.ts';
import {
  dequantizeNf4,
  leveledWeight,
  matmulNf4,
  NF4_LEVELS,
  packedWeight,
  quantizedAttributes,
  quantizedInputs,
  quantizeFp4,
  quantizeNf4,
  threeBitMatrix,
  tileMatrix,
} from '../index.ts';
import { mergeLevels } from './merge-levels.ts';

/** Σ (a − b)² of each block. */
function blockErrors(a: Float32Array, b: Float32Array, blockSize: number): number[] {
  const errors = new Array<number>(Math.ceil(a.length / blockSize)).fill(0);
  a.forEach((value, i) => (errors[Math.floor(i / blockSize)] += (value - b[i]) ** 2));
  return errors;
}

const total = (errors: readonly number[]): number => errors.reduce((sum, error) => sum + error, 0);

describe('a matrix of 3 bits', () => {
  it('has the codes of NF4 and at most 8 different levels; codes 6 to 8 share one', () => {
    fc.assert(
      fc.property(
        arbitraryMatrix(),
        fc.boolean(),
        fc.boolean(),
        (matrix, doubleQuantization, refitScales) => {
          const { data, shape, blockSize } = matrix;
          const nf4 = quantizeNf4({ data, shape }, { blockSize, doubleQuantization });
          const threeBits = threeBitMatrix(nf4, data, { refitScales });
          const levels = [...hostData(threeBits.levels)];
          expect(threeBits.codes).toBe(nf4.codes);
          expect(new Set(levels).size).toBeLessThanOrEqual(8);
          expect(new Set(levels.slice(6, 9)).size).toBe(1);
          if (!refitScales) expect(threeBits.doubleQuantized).toBe(nf4.doubleQuantized);
        },
      ),
    );
  });

  it('has a smaller error with scales of its own, with 32-bit scales', () => {
    fc.assert(
      fc.property(arbitraryMatrix(), ({ data, shape, blockSize }) => {
        const nf4 = quantizeNf4({ data, shape }, { blockSize, doubleQuantization: false });
        const [refit, shared] = [true, false].map((refitScales) =>
          total(blockErrors(dequantizeNf4(threeBitMatrix(nf4, data, { refitScales })), data, blockSize)),
        );
        // levels and scales are rounded to float32: 2⁻²³ of the squares
        const squares = total(blockErrors(data, new Float32Array(data.length), blockSize));
        expect(refit).toBeLessThanOrEqual(shared * (1 + 1e-6) + 2 ** -23 * squares);
      }),
    );
  });

  it('multiplies as it decodes', () => {
    fc.assert(
      fc.property(arbitraryMatrix(), ({ data, shape, blockSize }) => {
        const threeBits = threeBitMatrix(quantizeNf4({ data, shape }, { blockSize }), data);
        const [rows, cols] = shape;
        const identity = new Float32Array(cols * cols);
        for (let i = 0; i < cols; i++) identity[i * cols + i] = 1;
        const { y } = runOp(
          createHostBackend(),
          matmulNf4,
          { x: f32View([cols, cols], identity), ...quantizedInputs(threeBits) },
          { ...quantizedAttributes(threeBits), computeDtype: 'f32' },
        );
        const decoded = dequantizeNf4(threeBits);
        const got = hostData(y) as Float32Array;
        decoded.forEach((value, i) => {
          expect(got[(i % cols) * rows + Math.floor(i / cols)] + 0).toBe(value + 0); // −0 is 0
        });
      }),
      { numRuns: 30 },
    );
  });

  it('is made of NF4 in row-major order, and of as many weights', () => {
    const data = Float32Array.from({ length: 32 * 64 }, (_, i) => Math.sin(i));
    const shape = [32, 64] as const;
    const nf4 = quantizeNf4({ data, shape });
    expect(() => threeBitMatrix(quantizeFp4({ data, shape }), data)).toThrow(/must come from nf4.*got fp4/);
    expect(() => threeBitMatrix(tileMatrix(nf4), data)).toThrow(/row-major order \(got nf4 in tiles\)/);
    expect(() => threeBitMatrix(nf4, data.subarray(1))).toThrow(/must be 2048 weights \(got 2047\)/);
    expect(() => threeBitMatrix(nf4, Float64Array.from(data) as never)).toThrow(
      /must be a Float32Array \(got Float64Array\)/,
    );
    expect(() => threeBitMatrix(nf4, data.with(9, NaN))).toThrow(/must be finite \(got NaN at index 9/);
  });
});

describe('the codebook of merged levels', () => {
  it('is no worse than any other grouping of neighbours around the zero group', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: 0, max: 10, noNaN: true }), { minLength: 16, maxLength: 16 }),
        fc.subarray([1, 2, 3, 4, 5, 10, 11, 12, 13, 14, 15], { minLength: 5, maxLength: 5 }),
        (masses, cuts) => {
          const sums = {
            squares: Float64Array.from(masses),
            products: Float64Array.from(masses, (mass, code) => mass * NF4_LEVELS[code]),
          };
          const errorOf = (levelOf: (code: number) => number): number =>
            masses.reduce((sum, mass, code) => sum + mass * (levelOf(code) - NF4_LEVELS[code]) ** 2, 0);
          const best = mergeLevels(sums, 8);
          const bounds = [0, ...cuts, 6, 9, 16].sort((a, b) => a - b);
          const meanOf = (code: number): number => {
            const group = bounds.findLastIndex((bound) => bound <= code);
            const inGroup = (_: number, other: number): boolean =>
              other >= bounds[group] && other < bounds[group + 1];
            const square = sums.squares.filter(inGroup).reduce((a, b) => a + b, 0);
            return square > 0 ? sums.products.filter(inGroup).reduce((a, b) => a + b, 0) / square : 0;
          };
          expect(errorOf((code) => best[code])).toBeLessThanOrEqual(errorOf(meanOf) + 1e-5);
        },
      ),
    );
  });
});

describe('a matrix of 8 bits', () => {
  it('has no larger error than its 4 bits in any block, with 32-bit scales', () => {
    fc.assert(
      fc.property(arbitraryMatrix(), ({ data, shape, blockSize }) => {
        const options = { blockSize, doubleQuantization: false };
        const four = dequantizeNf4(quantizeNf4({ data, shape }, options));
        const rest = dequantizeNf4(quantizeNf4({ data: data.map((w, i) => w - four[i]), shape }, options));
        const eight = four.map((value, i) => value + rest[i]);
        const errors = blockErrors(eight, data, blockSize);
        blockErrors(four, data, blockSize).forEach((error, block) => {
          expect(errors[block], `block ${block}`).toBeLessThanOrEqual(error);
        });
      }),
    );
  });
});

describe('a weight with levels', () => {
  const shape = [48, 64] as const;
  const data = Float32Array.from({ length: elementCount(shape) }, (_, i) => Math.sin(i * i));
  const nf4 = quantizeNf4({ data, shape });

  it('is the packed weight of 4 bits, and counts the bytes of all its levels', () => {
    const threeBits = threeBitMatrix(nf4, data);
    const residual = quantizeNf4({ data: data.map((w, i) => w - dequantizeNf4(nf4)[i]), shape });
    const weight = leveledWeight(nf4, { threeBits, residual });
    const { byteLength, otherLevels, ...stored } = weight;
    expect({ ...stored, byteLength: nf4.byteLength }).toEqual(packedWeight(nf4));
    const scales = nf4.byteLength - elementCount(shape) / 2;
    expect(byteLength).toBe(2 * nf4.byteLength + scales);
    expect([...otherLevels!.keys()]).toEqual([3, 8]);
    expect(otherLevels!.get(3)!.operands.codes).toBe(weight.operands.codes);
    expect(otherLevels!.get(8)!.residual!.operands.codes).toBe(residual.codes);
  });

  it('has matrices of one shape', () => {
    const other = quantizeNf4({ data, shape: [64, 48] });
    for (const levels of [{ threeBits: other }, { residual: other }])
      expect(() => leveledWeight(nf4, levels)).toThrow(
        'the matrix of another level must be [48, 64], but it is [64, 48]',
      );
  });

  it('needs no bytes for 3 bits that share the scales', () => {
    const threeBits = threeBitMatrix(nf4, data, { refitScales: false });
    expect(leveledWeight(nf4, { threeBits }).byteLength).toBe(nf4.byteLength);
  });
});
