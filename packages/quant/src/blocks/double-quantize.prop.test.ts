import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { doubleQuantizeAsBitsandbytes } from '../bitsandbytes/bitsandbytes-scales.ts';
import { SMALLEST_DIVISOR } from './block-codes.ts';
import { decodedScale, doubleQuantize, NESTED_BLOCK_SIZE } from './double-quantize.ts';

const scales = fc.float32Array({ min: 0, max: 1, noNaN: true, minLength: 1, maxLength: 600, size: 'max' });
/** Half a cell of the largest decade, 0.9 / 64 / 2; −1, which the map lacks, is as far from its neighbour. */
const HALF_CELL = 0.9 / 64 / 2;

function expectWithinHalfCell(absmax: Float32Array): void {
  const nested = doubleQuantize(absmax);
  absmax.forEach((scale, i) => {
    const group = nested.absmax[Math.floor(i / NESTED_BLOCK_SIZE)];
    const cell = group < SMALLEST_DIVISOR ? group : HALF_CELL * group;
    expect(Math.abs(decodedScale(nested, i) - scale)).toBeLessThanOrEqual(
      cell + 2 ** -21 * (group + nested.offset) + 2 ** -149,
    );
  });
}

describe('double quantization', () => {
  it('a scale is off by at most half a cell of its 256, and the rounding of offset and sum', () => {
    fc.assert(fc.property(scales, expectWithinHalfCell));
  });

  it('a difference below the least divisor is off by at most itself: scales 0 and 2⁻¹⁴⁹', () =>
    expectWithinHalfCell(Float32Array.of(0, 2 ** -149)));

  it('the offset lies between the smallest and the largest scale', () => {
    fc.assert(
      fc.property(scales, (absmax) => {
        const { offset } = doubleQuantize(absmax);
        expect(offset).toBeGreaterThanOrEqual(Math.min(...absmax));
        expect(offset).toBeLessThanOrEqual(Math.max(...absmax));
      }),
    );
  });

  it('equal scales come back exactly, with code 127 and nested scale 0', () => {
    fc.assert(
      fc.property(
        fc.float({ min: 0, max: 2 ** 100, noNaN: true }),
        fc.integer({ min: 1, max: 300 }),
        (scale, count) => {
          const nested = doubleQuantize(new Float32Array(count).fill(scale));
          expect([decodedScale(nested, count - 1), nested.codes[0], nested.absmax[0]]).toEqual([
            scale,
            127,
            0,
          ]);
        },
      ),
    );
  });

  it.each([
    ['to the nearest level', doubleQuantize],
    ['as bitsandbytes', doubleQuantizeAsBitsandbytes],
  ])('%s, names a scale that is not finite by its own index', (_, quantize) => {
    for (const value of [NaN, Infinity, -Infinity])
      expect(() => quantize(Float32Array.of(1, value, 2))).toThrow(
        `the block scales must be finite (got ${value} at index 1, row-major)`,
      );
    expect(() => quantize(undefined as never)).toThrow('the block scales must be a Float32Array');
  });
});
