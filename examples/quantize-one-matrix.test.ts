import { expect, test } from 'vitest';
import { quantizeOneMatrix } from './quantize-one-matrix.ts';

test('a weight takes 4.127 bits, and is off by at most half the widest gap between levels', () => {
  const weights = Float32Array.from({ length: 256 * 512 }, (_, i) => Math.sin(i));
  const { bitsPerWeight, restored } = quantizeOneMatrix(weights, [256, 512]);
  expect(bitsPerWeight.toFixed(3)).toBe('4.127');
  // The levels −1 and −0.696 are the furthest apart. The bound is half their gap, 0.152, times the largest
  // magnitude of a block (at most 1), plus 1/127 for the 8-bit scale.
  for (const [i, weight] of weights.entries())
    if (Math.abs(restored[i] - weight) > 0.152 + 1 / 127)
      expect.fail(`weight ${i}: ${weight} came back as ${restored[i]}`);
});
