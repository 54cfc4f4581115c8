import { expect, it } from 'vitest';
import { encodeValues } from './encode-values.ts';

const filled = (value: number): Float32Array => new Float32Array(32).fill(value);

it.each([
  ['F16', 65504, 65505],
  ['F16', -65504, NaN],
  ['Q8_0', 8e6, 9e6],
  ['Q8_0', 8e6, Infinity],
] as const)('%s takes %d and refuses %d', (type, most, beyond) => {
  expect(encodeValues(filled(most), type).length).toBeGreaterThan(0);
  expect(() => encodeValues(filled(beyond), type)).toThrow(/ends at|not a number/);
});

it('BF16 and F32 take every number', () => {
  for (const type of ['BF16', 'F32'] as const)
    expect(encodeValues(filled(1e30), type).length).toBeGreaterThan(0);
});
