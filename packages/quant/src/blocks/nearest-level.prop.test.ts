import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { signedDynamicMap, unsignedDynamicMap } from '../codebooks/dynamic-8bit.ts';
import { FP4_LEVELS } from '../codebooks/fp4.ts';
import { NF4_LEVELS } from '../codebooks/nf4.ts';
import { levelSearch, nearestLevel } from './nearest-level.ts';

const TABLES = [
  ['NF4', NF4_LEVELS],
  ['FP4', FP4_LEVELS],
  ['the signed map', signedDynamicMap()],
  ['the unsigned map', unsignedDynamicMap()],
] as const;
const inRange = fc.float({ min: -1, max: 1, noNaN: true });

describe.each(TABLES)('nearest level in %s', (_, levels) => {
  const search = levelSearch(levels);

  it('no level is nearer to a value, but for the rounding of the limit', () => {
    fc.assert(
      fc.property(inRange, (x) => {
        const distance = Math.abs(levels[nearestLevel(search, x)] - x);
        for (const level of levels)
          expect(distance).toBeLessThanOrEqual(Math.abs(level - x) + 2 ** -24 * Math.abs(x));
      }),
    );
  });

  it('a level is its own nearest level', () => {
    for (const level of levels) expect(levels[nearestLevel(search, level)]).toBe(level);
  });

  it('a greater value never gets a lower level', () => {
    fc.assert(
      fc.property(
        inRange,
        inRange,
        (a, b) =>
          levels[nearestLevel(search, Math.min(a, b))] <= levels[nearestLevel(search, Math.max(a, b))],
      ),
    );
  });

  it('a value on a limit gets the lower level, the next float above it the upper', () => {
    search.limits.forEach((limit, place) => {
      const above = limit + 2 ** -23 * Math.abs(limit) + 2 ** -149;
      expect(nearestLevel(search, limit)).toBe(search.codes[place]);
      expect(nearestLevel(search, Math.fround(above))).toBe(search.codes[place + 1]);
    });
  });
});

describe('FP4 codes of zero', () => {
  const search = levelSearch(FP4_LEVELS);
  it.each([
    [0, 0],
    [-0, 0],
    [-1e-4, 0],
    [1e-4, 8],
  ])("%f gets code %i, as on bitsandbytes' CPU path", (x, code) =>
    expect(nearestLevel(search, x)).toBe(code),
  );
});
