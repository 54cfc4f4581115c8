import { hostData } from '@qdylora/contract';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { arbitraryMatrix } from '../test/arbitrary-matrix.ts';
import { QUANTIZATION_KINDS } from './codebooks/levels-of.ts';
import { decodedAbsmax, dequantize4bit } from './dequantize-nf4.ts';
import { quantize4bit } from './quantize-4bit.ts';

/** Half the widest gap between neighbouring levels: −1 and −0.696 in NF4, 2/3 and 1 in FP4. */
const HALF_GAP = { nf4: (1 - 0.6961928) / 2, fp4: 1 / 6 };
/**
 * Rounding of the reciprocal, the product, the limit and the decoded value, each half a unit in the last
 * place of 1.
 */
const ROUNDING = 4 * 2 ** -24;

describe.each(QUANTIZATION_KINDS)('%s', (kind) => {
  const plain = { doubleQuantization: false };

  it('a weight is off by at most half the widest gap of its block', () => {
    fc.assert(
      fc.property(arbitraryMatrix(), ({ data, shape, blockSize }) => {
        const matrix = quantize4bit(kind, { data, shape }, { ...plain, blockSize });
        const decoded = dequantize4bit(matrix);
        data.forEach((w, i) =>
          expect(Math.abs(w - decoded[i])).toBeLessThanOrEqual(
            (HALF_GAP[kind] + ROUNDING) * hostData(matrix.absmax!)[Math.floor(i / blockSize)],
          ),
        );
      }),
    );
  });

  it('the largest weight of a block comes back exactly', () => {
    fc.assert(
      fc.property(arbitraryMatrix(), ({ data, shape, blockSize }) => {
        const matrix = quantize4bit(kind, { data, shape }, { ...plain, blockSize });
        const decoded = dequantize4bit(matrix);
        const scales = decodedAbsmax(matrix);
        data.forEach((w, i) => {
          if (Math.abs(w) === scales[Math.floor(i / blockSize)]) expect(decoded[i] + 0).toBe(w + 0);
        });
      }),
    );
  });

  it('quantizing what was decoded changes nothing', () => {
    fc.assert(
      fc.property(arbitraryMatrix(), ({ data, shape, blockSize }) => {
        const once = quantize4bit(kind, { data, shape }, { ...plain, blockSize });
        const decoded = dequantize4bit(once);
        const twice = quantize4bit(kind, { data: decoded, shape }, { ...plain, blockSize });
        expect(hostData(twice.absmax!)).toEqual(hostData(once.absmax!));
        expect(dequantize4bit(twice).map((w) => w + 0)).toEqual(decoded.map((w) => w + 0));
        // FP4 has two codes for zero
        if (kind === 'nf4') expect(hostData(twice.codes)).toEqual(hostData(once.codes));
      }),
    );
  });

  it('scaling by a power of two changes the scales and no code', () => {
    fc.assert(
      fc.property(
        arbitraryMatrix(),
        fc.integer({ min: -20, max: 20 }),
        ({ data, shape, blockSize }, exponent) => {
          const scaled = { data: data.map((w) => w * 2 ** exponent), shape };
          expect(hostData(quantize4bit(kind, scaled, { ...plain, blockSize }).codes)).toEqual(
            hostData(quantize4bit(kind, { data, shape }, { ...plain, blockSize }).codes),
          );
        },
      ),
    );
  });

  it('only the row-major order of the weights matters, not where rows end', () => {
    fc.assert(
      fc.property(arbitraryMatrix(), ({ data, shape, blockSize }) => {
        const asRow = quantize4bit(kind, { data, shape: [1, data.length] }, { blockSize });
        expect({ ...quantize4bit(kind, { data, shape }, { blockSize }), shape: [1, data.length] }).toEqual(
          asRow,
        );
      }),
    );
  });

  it('double quantization changes no code of a weight', () => {
    fc.assert(
      fc.property(arbitraryMatrix(), ({ data, shape, blockSize }) => {
        expect(hostData(quantize4bit(kind, { data, shape }, { blockSize }).codes)).toEqual(
          hostData(quantize4bit(kind, { data, shape }, { ...plain, blockSize }).codes),
        );
      }),
    );
  });
});
