import { hostData } from '@qdylora/contract';
import { expect, it } from 'vitest';
import { isAsStored, valuesOfBytes } from './values-of-bytes.ts';

it('bytes are numbers wherever they begin in memory', () => {
  const floats = Float32Array.of(1, -2, 3.5);
  const halves = Uint16Array.of(0x3f80, 0x4000, 0xc040);
  for (const shift of [0, 1, 2, 3, 4, 5]) {
    const buffer = new Uint8Array(32);
    const of = (words: Float32Array | Uint16Array): Uint8Array => {
      buffer.set(new Uint8Array(words.buffer), shift);
      return buffer.subarray(shift, shift + words.byteLength);
    };
    expect(hostData(valuesOfBytes('F32', of(floats)))).toEqual(floats);
    expect(hostData(valuesOfBytes('BF16', of(halves)))).toEqual(halves);
  }
  expect(['F32', 'BF16', 'F16', 'toString'].map(isAsStored)).toEqual([true, true, false, false]);
});
