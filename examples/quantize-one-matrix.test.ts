import { expect, test } from 'vitest';
import { quantizeOneMatrix } from './quantize-one-matrix.ts';

test(
  'a matrix takes 4.127 bits a weight, and comes back within half the widest gap between levels of its ' +
    'block',
  () => {
    const weights = Float32Array.from({ length: 256 * 512 }, (_, i) => Math.sin(i));
    const { bitsPerWeight, restored } = quantizeOneMatrix(weights, [256, 512]);
    expect(bitsPerWeight.toFixed(3)).toBe('4.127');
    // Levels −1 and −0.696 lie furthest apart: half their gap, 0.152, times the largest magnitude of a block (≤
    // 1), and 1/127 for the 8-bit scale.
    for (const [i, weight] of weights.entries())
      if (Math.abs(restored[i]! - weight) > 0.152 + 1 / 127)
        expect.fail(`weight ${i}: ${weight} came back as ${restored[i]}`);
  },
);
