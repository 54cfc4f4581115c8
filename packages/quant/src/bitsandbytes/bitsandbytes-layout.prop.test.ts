import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { arbitraryMatrix } from '../../test/arbitrary-matrix.ts';
import {
  deserializeBitsandbytes,
  quantStateName,
  serializeBitsandbytes,
  type StoredArray,
} from './bitsandbytes-layout.ts';
import { parseQuantState, quantStateBytes } from './quant-state.ts';
import { QUANTIZATION_KINDS } from '../codebooks/levels-of.ts';
import { quantize4bit } from '../quantize-4bit.ts';
import { quantizeNf4 } from '../quantize-nf4.ts';

const ascii = (bytes: Uint8Array): string => String.fromCharCode(...bytes);
const bytesOf = (text: string): Uint8Array => Uint8Array.from(text, (c) => c.charCodeAt(0));
const small = () =>
  serializeBitsandbytes('w', quantizeNf4({ data: new Float32Array(128).fill(0.25), shape: [2, 64] }));
const STATE = 'w.quant_state.bitsandbytes__nf4';
const withState = (change: (text: string) => string): Map<string, StoredArray> => {
  const arrays = small();
  const bytes = bytesOf(change(ascii(arrays.get(STATE)!.bytes)));
  return arrays.set(STATE, { dtype: 'U8', shape: [bytes.length], bytes });
};

describe('the serialized form', () => {
  it('refuses a dtype that no reader accepts, and an option that does not exist', () => {
    const matrix = quantizeNf4({ data: new Float32Array(2), shape: [1, 2] });
    for (const options of [{ sourceDtype: 'float64' }, { dtype: 'bfloat16' }])
      expect(() => serializeBitsandbytes('w', matrix, options as never)).toThrow(
        expect.objectContaining({ code: 'BAD_ARGUMENT' }),
      );
  });
  it('what is written reads back as the same matrix', () => {
    fc.assert(
      fc.property(
        arbitraryMatrix(),
        fc.constantFrom(...QUANTIZATION_KINDS),
        fc.boolean(),
        fc.constantFrom('float16', 'bfloat16', 'float32'),
        (m, kind, doubleQuantization, sourceDtype) => {
          const matrix = quantize4bit(kind, m, { blockSize: m.blockSize, doubleQuantization });
          expect(
            deserializeBitsandbytes(
              'a.weight',
              serializeBitsandbytes('a.weight', matrix, { sourceDtype } as never),
            ),
          ).toEqual({ matrix, sourceDtype });
        },
      ),
    );
  });

  it('arrays at odd places of a larger buffer read the same', () => {
    const shifted = new Map(
      [...small()].map(([name, a]) => {
        const room = new Uint8Array(a.bytes.length + 3);
        room.set(a.bytes, 3);
        return [name, { ...a, bytes: room.subarray(3) }];
      }),
    );
    expect(deserializeBitsandbytes('w', shifted)).toEqual(deserializeBitsandbytes('w', small()));
  });

  it('packed bytes stored as a wider type, and NUL bytes behind the state, change nothing', () => {
    for (const [dtype, width] of [
      ['BF16', 2],
      ['F16', 2],
      ['F32', 4],
    ] as const) {
      const arrays = withState((text) => `${text}\0\0`);
      const { bytes } = arrays.get('w')!;
      arrays.set('w', { dtype, shape: [bytes.length / width, 1], bytes });
      expect(deserializeBitsandbytes('w', arrays)).toEqual(deserializeBitsandbytes('w', small()));
    }
  });

  it("the state is JSON with Python's separators and a float that Python reads as a float", () => {
    const arrays = serializeBitsandbytes(
      'w',
      quantizeNf4({ data: new Float32Array(64).fill(2), shape: [1, 64] }),
      { sourceDtype: 'bfloat16' },
    );
    expect(ascii(arrays.get(STATE)!.bytes)).toBe(
      '{"quant_type": "nf4", "blocksize": 64, "dtype": "bfloat16", "shape": [1, 64], "nested_blocksize": ' +
        '256, "nested_dtype": "float32", "nested_offset": 2.0}',
    );
  });

  // json.dumps of Python 3.11
  it.each([
    [0, '0.0'],
    [2, '2.0'],
    [-0.25, '-0.25'],
    [1e-4, '0.0001'],
    [2 ** -14, '6.103515625e-05'],
    [Math.fround(5e-5), '4.999999873689376e-05'],
    [-(2 ** -20), '-9.5367431640625e-07'],
    [2 ** -149, '1.401298464324817e-45'],
    [1e-100, '1e-100'],
    [2 ** 53, '9007199254740992.0'],
    [1e16, '1e+16'],
    [2 ** 60, '1.152921504606847e+18'],
    [2 ** 127, '1.7014118346046923e+38'],
  ])('the offset %d is written as %s', (nestedOffset, text) => {
    const state = { kind: 'nf4', blockSize: 64, sourceDtype: 'float32', shape: [1, 64] } as const;
    const bytes = quantStateBytes({ ...state, nestedOffset });
    expect(ascii(bytes)).toContain(`"nested_offset": ${text}}`);
    expect(parseQuantState('w', bytes).nestedOffset).toBe(Math.fround(nestedOffset));
  });

  it('a weight without a state is not in 4 bits', () => {
    expect(quantStateName('w', small())).toBe(STATE);
    expect(quantStateName('v', small())).toBeUndefined();
  });
});

describe('a file that does not fit is refused by name', () => {
  const without = (name: string) => {
    const arrays = small();
    arrays.delete(name);
    return arrays;
  };
  it.each(['w', 'w.absmax', 'w.quant_map', 'w.nested_quant_map', STATE])('no %s', (name) => {
    expect(() => deserializeBitsandbytes('w', without(name))).toThrow(
      expect.objectContaining({ code: 'MISSING_TENSOR', message: expect.stringContaining(name) }),
    );
  });

  it.each<[string, string, (text: string) => string]>([
    ['another kind', 'quant_type', (t) => t.replace('nf4', 'int4')],
    ['a kind that the name contradicts', 'bitsandbytes__nf4', (t) => t.replace('nf4', 'fp4')],
    ['block size 48', 'blocksize', (t) => t.replace('64,', '48,')],
    ['another shape', 'packed bytes', (t) => t.replace('[2, 64]', '[2, 65]')],
    ['three sizes', 'shape', (t) => t.replace('[2, 64]', '[2, 8, 8]')],
    ['another dtype', 'dtype', (t) => t.replace('"dtype": "float32"', '"dtype": "int8"')],
    ['NaN', 'JSON', (t) => t.replace('0.25', 'NaN')],
    ['an offset beyond float32', 'nested_offset', (t) => t.replace('0.25', '1e39')],
    ['nested blocks of 128', 'nested_blocksize', (t) => t.replace('256', '128')],
    ['no object', 'JSON object', () => '[]'],
    ['a megabyte', 'at most', (t) => t.padEnd(1 << 20)],
    ['no offset though scales are nested', 'nested_offset', (t) => t.replace('nested_offset', 'offset')],
  ])('a state with %s', (_, says, change) => {
    expect(() => deserializeBitsandbytes('w', withState(change))).toThrow(
      expect.objectContaining({ code: 'BAD_FILE', message: expect.stringContaining(says) }),
    );
  });

  it('codes cut short, scales of another type', () => {
    const cut = small();
    const { bytes } = cut.get('w')!;
    cut.set('w', { dtype: 'U8', shape: [63, 1], bytes: bytes.subarray(1) });
    expect(() => deserializeBitsandbytes('w', cut)).toThrow(
      '[bitsandbytes] w must have 64 packed bytes, but it has 63 (U8 [63, 1])',
    );
    const plain = small();
    plain.delete('w.nested_absmax');
    expect(() => deserializeBitsandbytes('w', plain)).toThrow('w.absmax must be F32 [2], but it is U8 [2]');
  });
});
