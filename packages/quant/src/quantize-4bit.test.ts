import { HostStorage, hostData, createHostMemory, f32View, viewOf } from '@qdylora/contract';
import { describe, expect, it } from 'vitest';
import { serializeBitsandbytes } from './bitsandbytes/bitsandbytes-layout.ts';
import { decodedAbsmax, dequantizeNf4 } from './dequantize-nf4.ts';
import { moveToMemory } from './matrix/move-to-memory.ts';
import { quantizedMatrix } from './matrix/quantized-matrix.ts';
import { quantizeFp4 } from './quantize-fp4.ts';
import { quantizeNf4 } from './quantize-nf4.ts';

const row = (...values: number[]) => ({
  data: Float32Array.from(values),
  shape: [1, values.length] as const,
});
const filled = (length: number, value: number) => ({
  data: new Float32Array(length).fill(value),
  shape: [1, length] as const,
});
const plain = { doubleQuantization: false };

describe('sizes', () => {
  it.each([
    [64, true, 4 + 8 / 64 + 32 / (64 * 256)],
    [64, false, 4.5],
    [32, false, 5],
    [4096, true, 4 + 8 / 4096 + 32 / (4096 * 256)],
  ])(
    'a 1024 × 1024 matrix at block size %i, double quantization %s, takes %f bits a weight',
    (blockSize, doubleQuantization, bits) => {
      const matrix = quantizeNf4(
        { data: new Float32Array(2 ** 20).fill(1), shape: [1024, 1024] },
        { blockSize, doubleQuantization },
      );
      expect(matrix.bitsPerWeight).toBe(bits);
      expect(matrix.byteLength).toBe((bits * 2 ** 20) / 8);
    },
  );
  it('a misspelt option is refused with the nearest name', () => {
    expect(() => quantizeNf4(filled(64, 1), { blocksize: 32 } as never)).toThrow(
      /there is no option `blocksize`.*Did you mean `blockSize`/s,
    );
    expect(() => quantizeFp4(filled(64, 1), { doubleQuant: true } as never)).toThrow(/doubleQuant\b/);
  });
  it('the defaults are block size 64 and double quantization', () => {
    const matrix = quantizeNf4(filled(64, 1));
    expect([matrix.blockSize, matrix.absmax, matrix.doubleQuantized?.blockSize]).toEqual([64, null, 256]);
  });
});

describe('edges', () => {
  it('one weight takes one byte, whose low nibble is the code of zero', () => {
    expect([...hostData(quantizeNf4(row(0.37), plain).codes)]).toEqual([0xf7]);
    expect([...hostData(quantizeFp4(row(0.37), plain).codes)]).toEqual([0x30]);
  });
  it('one weight past a block gets a scale of its own', () =>
    expect([...hostData(quantizeNf4(row(...filled(64, 1).data, -3), plain).absmax!)]).toEqual([1, 3]));
  it.each([0, -0])('a block of %f has scale 0 and decodes to +0', (zero) => {
    const nf4 = quantizeNf4(filled(64, zero), plain);
    const fp4 = quantizeFp4(filled(64, zero), plain);
    expect([hostData(nf4.absmax!)[0], hostData(nf4.codes)[0], hostData(fp4.codes)[0]]).toEqual([
      0, 0x77, 0x00,
    ]);
    expect(
      dequantizeNf4(nf4).every((w) => Object.is(w, 0)) && dequantizeNf4(fp4).every((w) => Object.is(w, 0)),
    ).toBe(true);
  });
  it('a block below 1e-38 keeps its scale, and its weights become zero or stay within it', () => {
    const matrix = quantizeNf4(filled(64, 1e-40), plain);
    expect(hostData(matrix.absmax!)[0]).toBe(Math.fround(1e-40));
    expect(dequantizeNf4(matrix).every((w) => w === 0)).toBe(true);
  });
  it('the largest float32 comes back exactly', () => {
    const largest = (2 - 2 ** -23) * 2 ** 127;
    expect(dequantizeNf4(quantizeNf4(filled(64, -largest), plain))[0]).toBe(-largest);
  });
  it('a block of zeros among others decodes to zeros under double quantization too', () => {
    const data = new Float32Array(192).fill(0.5).fill(0, 64, 128);
    expect(
      dequantizeNf4(quantizeNf4({ data, shape: [3, 64] }))
        .subarray(64, 128)
        .every((w) => w === 0),
    ).toBe(true);
  });
});

describe('refusals', () => {
  it.each([31, 48, 0, 8192, NaN])('block size %f', (blockSize) =>
    expect(() => quantizeNf4(filled(64, 1), { blockSize })).toThrow(
      expect.objectContaining({ code: 'UNSUPPORTED' }),
    ),
  );
  it('a shape that the data does not fill', () => {
    expect(() => quantizeNf4({ data: new Float32Array(5), shape: [2, 3] })).toThrow(
      '[quantize] a matrix of [2, 3] must have 6 numbers (got 5).',
    );
  });
  it.each([[[0, 4]], [[2.5, 2]], [[4]], [[2, 2, 1]]])('the shape %j', (shape) => {
    expect(() => quantizeNf4({ data: new Float32Array(4), shape: shape as never })).toThrow(
      expect.objectContaining({ code: 'BAD_SHAPE' }),
    );
  });
  it('a NaN, by its index', () =>
    expect(() => quantizeNf4(row(1, 2, NaN))).toThrow(
      '[quant] the weights must be finite (got NaN at index 2, row-major).',
    ));
  it('parts that do not fit each other', () => {
    const matrix = quantizeNf4(filled(64, 1));
    expect(() => quantizedMatrix({ ...matrix, shape: [1, 66] })).toThrow(
      'codes must be [33], but it is [32]',
    );
    expect(() => quantizedMatrix({ ...matrix, doubleQuantized: null })).toThrow(
      'the scales must be either absmax, or absmaxCodes, nestedAbsmax and nestedMap (got none)',
    );
    expect(() => quantizedMatrix({ ...matrix, absmax: f32View([1], [1]) })).toThrow(
      /the scales must be either absmax, or .*\(got absmax, absmaxCodes, nestedAbsmax, nestedMap\)/,
    );
    const { doubleQuantized: nested } = matrix;
    const withNested = (parts: object) => () =>
      quantizedMatrix({ ...matrix, doubleQuantized: { ...nested!, ...parts } });
    expect(withNested({ blockSize: 128 })).toThrow(
      '256 block scales must share a nested scale (got blockSize 128)',
    );
    expect(withNested({ offset: '0.5' })).toThrow('the offset of the scales must be a number (got "0.5")');
    expect(() => quantizedMatrix({ ...matrix, kind: 'int4' as never })).toThrow(
      'must be nf4 or fp4 (got int4)',
    );
    for (const shape of [[-1, -64], [0.5, 128], [64], null])
      expect(() => quantizedMatrix({ ...matrix, shape: shape as never }), String(shape)).toThrow(
        'the shape of a matrix must be two whole numbers ≥ 1',
      );
    expect(() =>
      quantizedMatrix({
        ...matrix,
        codes: { ...matrix.codes, storage: new HostStorage(new Uint8Array(31)) },
      }),
    ).toThrow('codes [32] needs 32 elements from 0 on, but its storage has 31');
    expect(() =>
      quantizedMatrix({
        ...matrix,
        doubleQuantized: null,
        absmax: viewOf('u8', [1], Uint8Array.of(1)) as never,
      }),
    ).toThrow('absmax must be f32, but it is u8');
  });

  it.each([
    ['Array', Array.from({ length: 64 }, Math.sin)],
    ['Float64Array', new Float64Array(64).fill(0.1)],
    ['Int32Array', new Int32Array(64).fill(7)],
    ['Uint16Array', new Uint16Array(64)],
    ['undefined', undefined],
  ])('weights in an %s, by its name', (name, data) => {
    expect(() => quantizeNf4({ data: data as never, shape: [1, 64] })).toThrow(
      `[quantize] the weights of a matrix must be a Float32Array (got ${name}). Convert them`,
    );
  });

  it.each([
    ['weights', dequantizeNf4],
    ['scales', decodedAbsmax],
  ])('decoding the %s of a matrix whose parts do not fit each other', (_, decode) => {
    const matrix = quantizeNf4(filled(128, 1));
    const { absmax } = quantizeNf4(filled(128, 1), plain);
    for (const parts of [{ shape: [2, 128] }, { blockSize: 32 }, { absmax }, { doubleQuantized: null }])
      expect(() => decode({ ...matrix, ...parts } as never)).toThrow(
        expect.objectContaining({ code: 'BAD_SHAPE' }),
      );
  });

  it('a matrix whose memory is gone', () => {
    const memory = createHostMemory({
      unreserve: (buffer) => {
        (globalThis as unknown as { structuredClone(value: unknown, options: object): void }).structuredClone(
          buffer,
          { transfer: [buffer] },
        );
      },
    });
    const moved = moveToMemory(quantizeNf4(filled(200, 0.3)), memory);
    memory.dispose();
    for (const use of [
      dequantizeNf4,
      decodedAbsmax,
      (matrix: typeof moved) => serializeBitsandbytes('w', matrix),
    ])
      expect(() => use(moved)).toThrow(expect.objectContaining({ code: 'DISPOSED' }));
  });
});

describe('moving to a memory', () => {
  it('the matrix there is equal, has arrays of its own, and outlives the scope it was moved in', () => {
    const memory = createHostMemory();
    for (const options of [plain, {}]) {
      const matrix = quantizeNf4(filled(200, 0.3), options);
      const moved = memory.scoped(() => moveToMemory(matrix, memory));
      memory.scoped(() => {
        hostData(memory.allocate('u8', [4096])).fill(0);
      });
      expect(hostData(moved.codes)).not.toBe(hostData(matrix.codes));
      expect([dequantizeNf4(moved), decodedAbsmax(moved)]).toEqual([
        dequantizeNf4(matrix),
        decodedAbsmax(matrix),
      ]);
    }
  });
});
