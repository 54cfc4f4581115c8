import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { QdyloraError } from '@qdylora/contract';
import { temporaryFolder } from '@qdylora/testing/node';
import { memoryByteSource } from '../read/byte-source.ts';
import { openSafetensors, safetensorsOf } from './open-safetensors.ts';
import { SAFETENSORS_DTYPE_BITS, SAFETENSORS_DTYPES } from './tensor-dtypes.ts';
import { writeSafetensors, type TensorToWrite } from './write-file.ts';

const folder = temporaryFolder();
const path = join(folder, 'model.safetensors');

const tensor: fc.Arbitrary<TensorToWrite> = fc
  .record({
    name: fc.oneof(
      fc.string({ unit: 'grapheme', maxLength: 12 }),
      fc.constantFrom('__proto__', 'constructor', 'model.layers.0.self_attn.q_proj.weight'),
    ),
    dtype: fc.constantFrom(...SAFETENSORS_DTYPES),
    // ×8 makes whole bytes of every dtype
    shape: fc.array(fc.constantFrom(0, 1, 4, 8, 12), { maxLength: 3 }).map((sizes) => [...sizes, 8]),
  })
  .chain(({ name, dtype, shape }) => {
    const length = shape.reduce((a, b) => a * b, SAFETENSORS_DTYPE_BITS[dtype] / 8);
    return fc.integer({ min: 0, max: 255 }).map((seed) => ({
      name,
      dtype,
      shape,
      bytes: Uint8Array.from({ length }, (_, i) => (i * 31 + seed) & 255),
    }));
  });

const tensors = fc.uniqueArray(tensor, { selector: ({ name }) => name, maxLength: 6 });
const metadata = fc.dictionary(fc.string({ maxLength: 6 }), fc.string({ unit: 'grapheme', maxLength: 6 }), {
  maxKeys: 3,
});

const write = (list: readonly TensorToWrite[], meta: Record<string, string>): Uint8Array => {
  writeSafetensors(path, list, { metadata: meta });
  return readFileSync(path);
};

describe('safetensors', () => {
  it('what was written is what is read', () => {
    fc.assert(
      fc.property(tensors, metadata, (list, meta) => {
        write(list, meta);
        const file = openSafetensors(path);
        expect(new Map(file.metadata)).toEqual(new Map(Object.entries(meta)));
        expect([...file.tensors.keys()].sort()).toEqual(list.map(({ name }) => name).sort());
        for (const { name, dtype, shape, bytes } of list) {
          const entry = file.tensors.get(name)!;
          expect([entry.dtype, entry.shape, entry.readBytes()]).toEqual([dtype, shape, bytes]);
        }
        file.dispose();
      }),
      { numRuns: 40 },
    );
  });

  it('the order of the list changes no byte, and every tensor is aligned to its element size', () => {
    fc.assert(
      fc.property(tensors, metadata, (list, meta) => {
        const once = write(list, meta);
        const reversed = write([...list].reverse(), Object.fromEntries(Object.entries(meta).reverse()));
        expect(reversed).toEqual(once);
        const headerLength = Number(new DataView(once.buffer, once.byteOffset).getBigUint64(0, true));
        expect(headerLength % 8).toBe(0);
        const header = JSON.parse(Buffer.from(once.subarray(8, 8 + headerLength)).toString()) as Record<
          string,
          { dtype: string; data_offsets: [number, number] }
        >;
        for (const [name, { dtype, data_offsets }] of Object.entries(header))
          if (name !== '__metadata__' && SAFETENSORS_DTYPE_BITS[dtype] >= 8)
            expect(data_offsets[0] % (SAFETENSORS_DTYPE_BITS[dtype] / 8)).toBe(0);
      }),
      { numRuns: 25 },
    );
  });

  it('a file cut short anywhere is a typed error', () => {
    const whole = write(
      [
        { name: 'é', dtype: 'F32', shape: [2], bytes: new Uint8Array(8) },
        { name: 'b"\n', dtype: 'U8', shape: [3], bytes: new Uint8Array(3) },
      ],
      { k: 'v' },
    );
    for (let length = 0; length < whole.length; length++)
      expect(() => safetensorsOf(memoryByteSource(whole.subarray(0, length)))).toThrow(QdyloraError);
  });

  it('flipped bits give another valid file or a typed error, never anything else', () => {
    const whole = write(
      [
        { name: 'weight', dtype: 'BF16', shape: [2, 3], bytes: new Uint8Array(12) },
        { name: 'bias', dtype: 'F32', shape: [], bytes: new Uint8Array(4) },
      ],
      { format: 'pt' },
    );
    fc.assert(
      fc.property(fc.array(fc.nat(whole.length * 8 - 1), { minLength: 1, maxLength: 4 }), (bits) => {
        const copy = Uint8Array.from(whole);
        for (const bit of bits) copy[bit >> 3] ^= 1 << (bit & 7);
        try {
          for (const entry of safetensorsOf(memoryByteSource(copy)).tensors.values()) entry.readBytes();
        } catch (error) {
          expect(QdyloraError.isInstance(error)).toBe(true);
        }
      }),
      { numRuns: 1000 },
    );
  });

  it('any JSON as a header gives a valid file or a typed error', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 4 }), (json) => {
        const header = Buffer.from(json);
        const bytes = new Uint8Array(8 + header.length);
        new DataView(bytes.buffer).setBigUint64(0, BigInt(header.length), true);
        bytes.set(header, 8);
        try {
          safetensorsOf(memoryByteSource(bytes));
        } catch (error) {
          expect(QdyloraError.isInstance(error)).toBe(true);
        }
      }),
      { numRuns: 500 },
    );
  });
});
