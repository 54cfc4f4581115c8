import {
  hostData,
  createHostBackend,
  createRng,
  elementCount,
  f32View,
  roundToBfloat16,
  runOp,
  viewOf,
  type ArrayView,
} from '@qdylora/contract';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { arbitraryMatrix } from '../../test/arbitrary-matrix.ts';
import { QUANTIZATION_KINDS } from '../codebooks/levels-of.ts';
import { dequantizeNf4 } from '../dequantize-nf4.ts';
import { quantize4bit } from '../quantize-4bit.ts';
import { quantizeNf4 } from '../quantize-nf4.ts';
import { dequantizeBlockwise } from './dequantize-blockwise.ts';
import { matmulNf4, matmulNf4InputGradient } from './matmul-nf4.ts';
import { quantizeBlockwise } from './quantize-blockwise.ts';
import {
  assertQuantized,
  QUANTIZED_INPUTS,
  quantizedAttributes,
  quantizedInputs,
} from './quantized-inputs.ts';

const backend = createHostBackend();
const TOKENS = 3;
const normals = (name: string, shape: number[]) => {
  const rng = createRng(7).named(name);
  return f32View(
    shape,
    Float32Array.from({ length: elementCount(shape) }, (_, i) => rng.normal(i)),
  );
};

/** A quantized matrix with inputs of both products, in one of the four forms: kind, plain or double. */
const arbitraryProduct = () =>
  fc
    .record({
      m: arbitraryMatrix(),
      kind: fc.constantFrom(...QUANTIZATION_KINDS),
      doubleQuantization: fc.boolean(),
    })
    .map(({ m, kind, doubleQuantization }) => {
      const matrix = quantize4bit(kind, m, { blockSize: m.blockSize, doubleQuantization });
      const [rows, cols] = matrix.shape;
      const x = normals('x', [TOKENS, cols]);
      const dy = normals('dy', [TOKENS, rows]);
      const bias = normals('bias', [rows]);
      return {
        matrix,
        rows,
        cols,
        x,
        dy,
        bias,
        weight: quantizedInputs(matrix),
        attributes: quantizedAttributes(matrix),
      };
    });

/** Σ over `terms` in float64, from `start`, rounded to float32: one entry of a product. */
const entry = (terms: number, start: number, term: (k: number) => number): number => {
  let sum = start;
  for (let k = 0; k < terms; k++) sum += term(k);
  return Math.fround(sum);
};

describe('quantize-blockwise and dequantize-blockwise', () => {
  it('equal quantizeNf4 and dequantizeNf4, bit for bit', () => {
    fc.assert(
      fc.property(arbitraryMatrix(), ({ data, shape, blockSize }) => {
        const matrix = quantizeNf4({ data, shape }, { blockSize, doubleQuantization: false });
        const { codes, absmax } = runOp(
          backend,
          quantizeBlockwise,
          { values: f32View([data.length], data) },
          { kind: 'nf4', blockSize },
        );
        expect([hostData(codes), hostData(absmax)]).toEqual([
          hostData(matrix.codes),
          hostData(matrix.absmax!),
        ]);
        expect(
          hostData(
            runOp(backend, dequantizeBlockwise, quantizedInputs(matrix), quantizedAttributes(matrix)).values,
          ),
        ).toEqual(dequantizeNf4(matrix));
      }),
    );
  });

  it('nothing quantizes to nothing', () => {
    const { codes, absmax } = runOp(
      backend,
      quantizeBlockwise,
      { values: f32View([0]) },
      { kind: 'nf4', blockSize: 64 },
    );
    expect([codes.shape, absmax.shape]).toEqual([[0], [0]]);
  });
});

describe.each(['f32', 'bf16'] as const)('products with %s operands', (computeDtype) => {
  const round = computeDtype === 'bf16' ? roundToBfloat16 : (x: number) => x;

  it('matmul-nf4 is dequantization and then a product summed in float64', () => {
    fc.assert(
      fc.property(arbitraryProduct(), ({ matrix, rows, cols, x, bias, weight, attributes }) => {
        const w = dequantizeNf4(matrix);
        const { y } = runOp(backend, matmulNf4, { x, bias, ...weight }, { ...attributes, computeDtype });
        hostData(y).forEach((got, i) => {
          const token = Math.floor(i / rows);
          const row = i % rows;
          expect(got).toBe(
            entry(
              cols,
              hostData(bias)[row],
              (k) => round(hostData(x)[token * cols + k]) * round(w[row * cols + k]),
            ),
          );
        });
      }),
      { numRuns: 40 },
    );
  });

  it('matmul-nf4-input-gradient is dy · W, and adds to dx where it is told to', () => {
    fc.assert(
      fc.property(
        arbitraryProduct(),
        fc.boolean(),
        ({ matrix, rows, cols, x, dy, weight, attributes }, accumulate) => {
          const w = dequantizeNf4(matrix);
          const before = hostData(x).slice();
          const { dx } = runOp(
            backend,
            matmulNf4InputGradient,
            { dy, ...weight },
            { ...attributes, computeDtype, accumulate },
            { dx: f32View([TOKENS, cols], hostData(x).slice()) },
          );
          hostData(dx).forEach((got, i) => {
            const token = Math.floor(i / cols);
            const col = i % cols;
            expect(got).toBe(
              entry(
                rows,
                accumulate ? before[i] : 0,
                (row) => round(hostData(dy)[token * rows + row]) * round(w[row * cols + col]),
              ),
            );
          });
        },
      ),
      { numRuns: 40 },
    );
  });
});

describe('the two products', () => {
  it("are each other's adjoint: ⟨dy, x·Wᵀ⟩ = ⟨dy·W, x⟩, up to one rounding of each entry", () => {
    fc.assert(
      fc.property(arbitraryProduct(), ({ x, dy, weight, attributes }) => {
        const y = runOp(backend, matmulNf4, { x, ...weight }, { ...attributes, computeDtype: 'f32' })
          .y as ArrayView<'f32'>;
        const dx = runOp(
          backend,
          matmulNf4InputGradient,
          { dy, ...weight },
          { ...attributes, computeDtype: 'f32', accumulate: false },
        ).dx as ArrayView<'f32'>;
        const left = dot(hostData(dy), hostData(y));
        const right = dot(hostData(dx), hostData(x));
        const sizes =
          dot(hostData(dy).map(Math.abs), hostData(y).map(Math.abs)) +
          dot(hostData(dx).map(Math.abs), hostData(x).map(Math.abs));
        expect(Math.abs(left - right)).toBeLessThanOrEqual(2 ** -23 * sizes);
      }),
      { numRuns: 40 },
    );
  });

  const dot = (a: Float32Array, b: Float32Array): number =>
    a.reduce((sum, value, i) => sum + value * b[i], 0);
});

describe('arrays that do not fit are refused by name', () => {
  const matrix = quantizeNf4({ data: new Float32Array(128).fill(1), shape: [2, 64] });
  const x = f32View([1, 64]);
  const inputs = { x, ...quantizedInputs(matrix) };
  const attributes = { ...quantizedAttributes(matrix), computeDtype: 'f32' } as const;
  it.each([
    ['codes', { ...inputs, codes: viewOf('u8', [63], new Uint8Array(63)) }],
    ['levels', { ...inputs, levels: f32View([15]) }],
    ['absmaxCodes', { ...inputs, absmaxCodes: viewOf('u8', [3], new Uint8Array(3)) }],
    ['nestedAbsmax', { ...inputs, nestedAbsmax: f32View([2]) }],
    ['nestedMap', { ...inputs, nestedMap: f32View([16]) }],
    ['x', { ...inputs, x: f32View([1, 65]) }],
    ['bias', { ...inputs, bias: f32View([3]) }],
    ['either absmax, or absmaxCodes', { ...inputs, absmax: f32View([2]) }],
    ['(got none)', { x, codes: matrix.codes, levels: matrix.levels }],
  ])('%s', (says, wrong) => {
    expect(() => runOp(backend, matmulNf4, wrong, attributes)).toThrow(
      expect.objectContaining({ code: 'BAD_SHAPE', message: expect.stringContaining(says) }),
    );
  });
  it('scales of a layer in a group, by the names that they have in the call', () => {
    const names = Object.fromEntries(
      Object.keys(QUANTIZED_INPUTS).map((name) => [name, `${name}1`]),
    ) as Record<keyof typeof QUANTIZED_INPUTS, string>;
    const { codes, levels, absmaxCodes } = quantizedInputs(matrix);
    const arrays = { codes1: codes, levels1: levels, absmaxCodes1: absmaxCodes };
    expect(() => assertQuantized('group', arrays, attributes, names)).toThrow(
      'the scales must be either absmax1, or absmaxCodes1, nestedAbsmax1 and nestedMap1 (got absmaxCodes1)',
    );
  });
  it('a block size that no one reads', () => {
    expect(() => runOp(backend, matmulNf4, inputs, { ...attributes, blockSize: 48 })).toThrow(
      'the block size must be one of 32, 64, 128, 256, 512, 1024, 2048, 4096 (got 48)',
    );
  });
});
