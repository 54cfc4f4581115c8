import { expect, test } from 'vitest';

const withByte = (length: number, last: number): Uint8Array => new Uint8Array(length).fill(last, length - 1);

test('arrays of a million numbers take less than a second of processor time, also inside records', () => {
  const start = process.cpuUsage();
  expect({ weights: [new Float32Array(1 << 20)] }).toEqual({ weights: [new Float32Array(1 << 20)] });
  expect(Buffer.alloc(1 << 20)).toStrictEqual(Buffer.alloc(1 << 20));
  expect(process.cpuUsage(start).user).toBeLessThan(1e6);
});

test('arrays that differ in one byte, in length, in type or in the sign of zero are not equal', () => {
  expect(withByte(9, 1)).not.toEqual(withByte(9, 2));
  expect(withByte(9, 0)).not.toEqual(withByte(8, 0));
  expect(new Float32Array(4)).not.toEqual(new Int32Array(4));
  expect(new Float32Array([0])).not.toEqual(new Float32Array([-0]));
});

test('NaN equals NaN of any bits', () => {
  const quiet = new Float32Array(new Uint32Array([0x7fc00000]).buffer);
  const negative = new Float32Array(new Uint32Array([0xffc00001]).buffer);
  expect(quiet).toEqual(negative);
});
