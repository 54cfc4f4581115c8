import { createHostBackend } from '@qdylora/contract';
import { expect, it } from 'vitest';
import { packArriving, packMatrix } from './packed-tensors.ts';

const PACKING = {
  quantization: 'nf4',
  doubleQuantization: true,
  quantizationBlockSize: 64,
  name: 'a.weight',
} as const;
const SHAPE = [4, 64] as const;
const VALUES = new Float32Array(256).fill(1).fill(NaN, 197, 198);

it('a value that is not finite is refused with its weight and its index in the matrix', async () => {
  async function* stretches(): AsyncGenerator<Uint8Array> {
    for (const part of [VALUES.slice(0, 128), VALUES.slice(128)]) yield new Uint8Array(part.buffer);
  }
  const backend = createHostBackend();
  for (const packed of [
    packMatrix(backend, VALUES, SHAPE, PACKING),
    packArriving(backend, { dtype: 'F32', shape: SHAPE, stretches: stretches() }, PACKING),
  ])
    await expect(packed).rejects.toMatchObject({
      code: 'NON_FINITE',
      message:
        '[a.weight] the weights must be finite (got NaN at index 197, row-major). Check the file, or the ' +
        'computation that produced them.',
      details: { index: 197, value: NaN },
    });
  expect(backend.memory.usage().liveBytes).toBe(0);
});

/** The largest float32: two such block scales overflow in a float32 sum, and when they are decoded. */
const LARGEST = (2 - 2 ** -23) * 2 ** 127;

it.each([
  ['nearest', { index: 1 }],
  ['bitsandbytes', { index: 0, value: -Infinity }],
] as const)(
  'scales that overflow (%s) are refused with their weight and index',
  async (scaleRounding, details) => {
    const values = new Float32Array(192).fill(LARGEST).fill(0, 0, 64);
    async function* stretches(): AsyncGenerator<Uint8Array> {
      for (const part of [values.slice(0, 64), values.slice(64)]) yield new Uint8Array(part.buffer);
    }
    const backend = createHostBackend();
    const packing = { ...PACKING, scaleRounding };
    for (const packed of [
      packMatrix(backend, values, [3, 64], packing),
      packArriving(backend, { dtype: 'F32', shape: [3, 64], stretches: stretches() }, packing),
    ])
      await expect(packed).rejects.toMatchObject({ code: 'NON_FINITE', where: 'a.weight', details });
    expect(backend.memory.usage().liveBytes).toBe(0);
  },
);
