import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { clipCoefficient, globalNorm } from './clip-by-global-norm.ts';

const positive = fc.double({ min: 1e-6, max: 1e6, noNaN: true });

describe('clipping', () => {
  it('never lets the norm exceed the limit, and never raises it', () => {
    fc.assert(
      fc.property(positive, positive, (norm, most) => {
        const coefficient = clipCoefficient(norm, most);
        expect(coefficient).toBeLessThanOrEqual(1);
        expect(norm * coefficient).toBeLessThanOrEqual(Math.max(most, Math.min(norm, most)) * (1 + 2 ** -52));
      }),
    );
  });

  it.each([null, 0])('with the limit %s is off', (most) => {
    expect(clipCoefficient(1e9, most)).toBe(1);
  });
  it('of a gradient of 0 keeps it 0, not NaN', () => {
    expect(clipCoefficient(0, 1)).toBe(1);
  });
  it('sees one infinite sum in the norm', () => {
    expect(globalNorm(Float32Array.of(1, Infinity))).toBe(Infinity);
  });
});
