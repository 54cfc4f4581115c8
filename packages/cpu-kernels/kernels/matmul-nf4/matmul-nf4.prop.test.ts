import fc from 'fast-check';
import { test } from 'vitest';
import { BLOCK_SIZES, matmulNf4, matmulNf4InputGradient } from '@qdylora/quant';
import { arbitrarySeed, arbitrarySize, checkKernel, magnitudeBound, normalView } from '@qdylora/testing';
import { everyLevel } from '../../test/every-level.ts';
import { packedWeight } from '../../test/packed-weight.ts';

const levels = await everyLevel();

/**
 * One rounding per product and per addition of a sum; the decoded weights are the reference's, bit for bit.
 */
const sumRoundings = (terms: number): number => terms + 3;

/** Columns that are whole blocks (the fast decode) or anything (blocks straddle rows, odd widths). */
const arbitraryColumns = fc.oneof(fc.constantFrom(0, 32, 64, 128, 192, 256, 448, 576), arbitrarySize(200));
const arbitraryCase = fc.record({
  tokens: arbitrarySize(40),
  rows: arbitrarySize(150),
  cols: arbitraryColumns,
  blockSize: fc.constantFrom(...BLOCK_SIZES.slice(0, 4)),
  seed: arbitrarySeed,
  nested: fc.boolean(),
  flag: fc.boolean(),
  computeDtype: fc.constantFrom<'f32' | 'bf16'>('f32', 'bf16'),
  nestedOffset: fc.constantFrom(0, 0.0625),
});

test('the product with a packed weight agrees with its reference at all sizes, blocks and scales', () => {
  fc.assert(
    fc.property(
      arbitraryCase,
      ({ tokens, rows, cols, blockSize, seed, nested, flag, computeDtype, nestedOffset }) => {
        const inputs = {
          x: normalView(seed, 'x', [tokens, cols]),
          bias: flag ? normalView(seed, 'bias', [rows]) : undefined,
          ...packedWeight(seed, rows, cols, blockSize, nested),
        };
        const attributes = { rows, cols, blockSize, nestedOffset, computeDtype };
        checkKernel(matmulNf4, levels, {
          inputs,
          attributes,
          bound: magnitudeBound(matmulNf4, inputs, attributes, sumRoundings(cols)),
        });
      },
    ),
    { numRuns: 80 },
  );
});

test('the input gradient with a packed weight agrees with its reference', () => {
  fc.assert(
    fc.property(
      arbitraryCase,
      ({ tokens, rows, cols, blockSize, seed, nested, flag, computeDtype, nestedOffset }) => {
        const inputs = {
          dy: normalView(seed, 'dy', [tokens, rows]),
          ...packedWeight(seed, rows, cols, blockSize, nested),
        };
        const given = flag ? { dx: normalView(seed, 'dx', [tokens, cols]) } : {};
        const attributes = { rows, cols, blockSize, nestedOffset, computeDtype, accumulate: flag };
        checkKernel(matmulNf4InputGradient, levels, {
          inputs,
          attributes,
          given,
          bound: magnitudeBound(matmulNf4InputGradient, inputs, attributes, sumRoundings(rows), given),
        });
      },
    ),
    { numRuns: 80 },
  );
});

test('several depth blocks and panel groups agree with the reference, at any block size', () => {
  for (const [tokens, rows, cols, blockSize] of [
    [70, 200, 1088, 64],
    [9, 1030, 192, 64],
    [5, 40, 1024, 4096],
    [1, 130, 2048, 128],
  ] as const) {
    const attributes = {
      rows,
      cols,
      blockSize,
      nestedOffset: 0.03,
      computeDtype: 'f32' as const,
      accumulate: false,
    };
    const weight = packedWeight(3, rows, cols, blockSize, true);
    const forward = { x: normalView(1, 'x', [tokens, cols]), ...weight };
    const backward = { dy: normalView(1, 'dy', [tokens, rows]), ...weight };
    checkKernel(matmulNf4, levels, {
      inputs: forward,
      attributes,
      bound: magnitudeBound(matmulNf4, forward, attributes, sumRoundings(cols)),
    });
    checkKernel(matmulNf4InputGradient, levels, {
      inputs: backward,
      attributes,
      bound: magnitudeBound(matmulNf4InputGradient, backward, attributes, sumRoundings(rows)),
    });
  }
});

test.each([192, 704])(
  "in bf16, up to a few hundred rows, over a depth of %i: the reference's product, whether rows or weights " +
    'stand as the columns of a tile',
  (cols) => {
    const rows = 70;
    const weight = packedWeight(4, rows, cols, 64, true);
    const bias = normalView(2, 'bias', [rows]);
    for (const tokens of [65, 96, 127, 128, 129, 200, 256, 257]) {
      const attributes = { rows, cols, blockSize: 64, nestedOffset: 0.03, computeDtype: 'bf16' as const };
      const inputs = { x: normalView(1, 'x', [tokens, cols]), bias, ...weight };
      checkKernel(matmulNf4, levels, {
        inputs,
        attributes,
        bound: magnitudeBound(matmulNf4, inputs, attributes, sumRoundings(cols)),
      });
    }
  },
);
