import fc from 'fast-check';
import { expect, test } from 'vitest';
import { hostData, createHostBackend, runOp } from '@qdylora/contract';
import { quantizeRows } from '@qdylora/tensor';
import { arbitrarySeed, arbitrarySize, normalView } from '@qdylora/testing';

const cases = fc.record({
  rows: arbitrarySize(40),
  cols: arbitrarySize(200),
  seed: arbitrarySeed,
  scale: fc.constantFrom(1e-25, 1, 1e30),
});

/** Rows whose scale would be smaller have none. */
const LEAST_SCALE = 2 ** -100;

test('a weight is within half a scale of its code, in rows that are not too small for a scale', () => {
  fc.assert(
    fc.property(cases, ({ rows, cols, seed, scale }) => {
      const weight = normalView(seed, 'w', [rows, cols], scale);
      const { codes, scales } = runOp(createHostBackend(), quantizeRows, { weight }, {});
      const signed = new Int8Array(hostData(codes).buffer, hostData(codes).byteOffset, rows * cols);
      for (let row = 0; row < rows; row++) {
        const [from, to] = [row * cols, (row + 1) * cols];
        const values = [...hostData(weight).subarray(from, to)];
        const rowCodes = [...signed.subarray(from, to)];
        const one = hostData(scales)[row];
        const largest = Math.max(...values.map(Math.abs));
        if (largest > 0 && Math.fround(largest / 127) < LEAST_SCALE) {
          expect(one).toBeNaN();
          expect(rowCodes).toEqual(rowCodes.map(() => 0));
          continue;
        }
        // 1 / scale and the product are rounded
        const bound = one * (0.5 + 127 * 2 ** -22);
        values.forEach((value, col) => {
          expect(Math.abs(value - rowCodes[col] * one)).toBeLessThanOrEqual(bound);
        });
      }
    }),
    // in the example one row is too small
    { numRuns: 30, examples: [[{ rows: 33, cols: 1, seed: 2147483626, scale: 1e-25 }]] },
  );
});
