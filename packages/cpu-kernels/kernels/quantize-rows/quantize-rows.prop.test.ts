import fc from 'fast-check';
import { expect, test } from 'vitest';
import { hostData, createHostBackend, runOp } from '@qdylora/contract';
import { quantizeRows } from '@qdylora/tensor';
import {
  arbitrarySeed,
  arbitrarySize,
  checkKernel,
  normalBfloat16View,
  normalView,
  relativeBound,
} from '@qdylora/testing';
import { everyLevel } from '../../test/every-level.ts';

const levels = await everyLevel();
const bound = relativeBound(0); // every step is rounded as in the reference
const cases = fc.record({
  rows: arbitrarySize(40),
  cols: arbitrarySize(200),
  seed: arbitrarySeed,
  half: fc.boolean(),
  scale: fc.constantFrom(1e-25, 1, 1e30),
});

test('codes and scales have the bits of the reference', () => {
  fc.assert(
    fc.property(cases, ({ rows, cols, seed, half, scale }) => {
      const weight = half
        ? normalBfloat16View(seed, 'w', [rows, cols])
        : normalView(seed, 'w', [rows, cols], scale);
      checkKernel(quantizeRows, levels, { inputs: { weight }, attributes: {}, bound });
    }),
    { numRuns: 60 },
  );
});

test('rows of zeros, rows with NaN or infinity, and rows too small for a scale', () => {
  for (const odd of [0, NaN, Infinity, -Infinity, 1e-40, 2 ** -99]) {
    const weight = normalView(3, 'w', [4, 37]);
    hostData(weight).fill(0, 37, 74);
    hostData(weight)[37 + 20] = odd;
    checkKernel(quantizeRows, levels, { inputs: { weight }, attributes: {}, bound });
  }
});

test('a weight is within half a scale of its code', () => {
  fc.assert(
    fc.property(cases, ({ rows, cols, seed, scale }) => {
      const weight = normalView(seed, 'w', [rows, cols], scale);
      const { codes, scales } = runOp(createHostBackend(), quantizeRows, { weight }, {});
      const signed = new Int8Array(hostData(codes).buffer, hostData(codes).byteOffset, rows * cols);
      for (let i = 0; i < rows * cols; i++) {
        const one = hostData(scales)[Math.floor(i / cols)]!;
        expect(Math.abs(hostData(weight)[i]! - signed[i]! * one)).toBeLessThanOrEqual(
          one * (0.5 + 127 * 2 ** -22),
        ); // 1 / scale and the product are rounded
      }
    }),
    { numRuns: 30 },
  );
});
