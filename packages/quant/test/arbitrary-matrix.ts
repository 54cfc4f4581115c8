import { createRng } from '@qdylora/contract';
import fc from 'fast-check';

export interface ArbitraryMatrix {
  readonly data: Float32Array;
  readonly shape: readonly [number, number];
  readonly blockSize: number;
}

/**
 * Values that spoil naive code: zeros of both signs, ties at one half, a far outlier. They are multiplied by
 * the matrix's scale.
 */
const SPECIAL = [0, -0, 1, -1, 0.5, -0.5, 1e4];

/**
 * Normal weights at some power of two, with odd counts, short tails, straddled rows, special values and now
 * and then a block of zeros.
 * The scale stays within 2^±60, where neither absmax nor its reciprocal leaves the normal float32 numbers.
 */
export const arbitraryMatrix = (): fc.Arbitrary<ArbitraryMatrix> =>
  fc
    .record({
      rows: fc.integer({ min: 1, max: 9 }),
      cols: fc.integer({ min: 1, max: 80 }),
      blockSize: fc.constantFrom(32, 64, 128),
      exponent: fc.integer({ min: -60, max: 60 }),
      seed: fc.nat(),
      special: fc.array(fc.record({ at: fc.nat(), value: fc.constantFrom(...SPECIAL) }), { maxLength: 6 }),
      zeroBlock: fc.option(fc.nat({ max: 9 })),
    })
    .map(({ rows, cols, blockSize, exponent, seed, special, zeroBlock }) => {
      const rng = createRng(seed);
      const scale = 2 ** exponent;
      const data = Float32Array.from({ length: rows * cols }, (_, i) => rng.normal(i) * scale);
      for (const { at, value } of special) data[at % data.length] = value * scale;
      if (zeroBlock !== null) data.fill(0, zeroBlock * blockSize, (zeroBlock + 1) * blockSize);
      return { data, shape: [rows, cols] as const, blockSize };
    });
