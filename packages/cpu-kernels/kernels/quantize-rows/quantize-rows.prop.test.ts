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

test('a weight is within half a scale of its code', () => {
  fc.assert(
    fc.property(cases, ({ rows, cols, seed, scale }) => {
      const weight = normalView(seed, 'w', [rows, cols], scale);
      const { codes, scales } = runOp(createHostBackend(), quantizeRows, { weight }, {});
      const signed = new Int8Array(hostData(codes).buffer, hostData(codes).byteOffset, rows * cols);
      for (let i = 0; i < rows * cols; i++) {
        const one = hostData(scales)[Math.floor(i / cols)];
        expect(Math.abs(hostData(weight)[i] - signed[i] * one)).toBeLessThanOrEqual(
          one * (0.5 + 127 * 2 ** -22),
        ); // 1 / scale and the product are rounded
      }
    }),
    { numRuns: 30 },
  );
});
