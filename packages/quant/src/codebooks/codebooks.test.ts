import { describe, expect, it } from 'vitest';
import { deriveNormalFloat } from './derive-normal-float.ts';
import { signedDynamicMap, unsignedDynamicMap } from './dynamic-8bit.ts';
import { FP4_LEVELS } from './fp4.ts';
import { levelsOf } from './levels-of.ts';
import { NF4_LEVELS } from './nf4.ts';

describe('NF4', () => {
  it('is what its definition gives, bit for bit', () => expect(NF4_LEVELS).toEqual(deriveNormalFloat()));
  it('consists of float32 numbers in rising order with zero at code 7', () => {
    expect(NF4_LEVELS.map(Math.fround)).toEqual(NF4_LEVELS);
    expect([...NF4_LEVELS].sort((a, b) => a - b)).toEqual(NF4_LEVELS);
    expect(NF4_LEVELS[7]).toBe(0);
  });
});

describe('FP4', () => {
  it('has the magnitudes of two exponent bits and one of mantissa, largest at code 3', () => {
    expect(FP4_LEVELS.slice(0, 8)).toEqual([0, 0.0625, 8, 12, 4, 6, 2, 3].map((m) => Math.fround(m / 12)));
  });
  it('has code 8 + c as the negative of code c, and no negative zero', () => {
    FP4_LEVELS.slice(8).forEach((level, c) => expect(level + FP4_LEVELS[c]).toBe(0));
    expect(FP4_LEVELS.some((level) => Object.is(level, -0))).toBe(false);
  });
});

/** Middles of equal cells on [0.1, 1] in each decade, in exact arithmetic. */
const exactMap = (signs: readonly number[], first: number): number[] => {
  const levels = [0, 1];
  for (let decade = 0; decade < 7; decade++) {
    const cells = first * 2 ** decade;
    for (let cell = 0; cell < cells; cell++)
      for (const sign of signs)
        levels.push((sign * (0.1 + (0.9 * (cell + 0.5)) / cells)) / 10 ** (6 - decade));
  }
  return levels.sort((a, b) => a - b);
};

describe.each([
  {
    name: 'signed',
    map: signedDynamicMap(),
    exact: exactMap([1, -1], 1),
    zeroAt: 127,
    smallest: 5.5e-7,
    ulps: 1,
  },
  {
    name: 'unsigned',
    map: unsignedDynamicMap(),
    exact: exactMap([1], 2),
    zeroAt: 0,
    smallest: 3.25e-7,
    ulps: 2,
  },
])('the $name dynamic map', ({ map, exact, zeroAt, smallest, ulps }) => {
  it('has 256 different levels in rising order that end at 1', () => {
    expect(new Set(map).size).toBe(256);
    expect(map).toEqual(map.slice().sort());
    expect(map[255]).toBe(1);
  });
  it('has its zero and its smallest level where bitsandbytes has them', () => {
    expect(map[zeroAt]).toBe(0);
    expect(map[zeroAt + 1]).toBeCloseTo(smallest, 12);
  });
  it(`is within ${ulps} units in the last place of the exact formula`, () => {
    map.forEach((level, code) =>
      expect(Math.abs(level - exact[code])).toBeLessThanOrEqual(
        (ulps + 0.5) * 2 ** -23 * Math.abs(exact[code]),
      ),
    );
  });
});

describe('levelsOf', () => {
  it('refuses another kind and lists the supported ones', () => {
    expect(() => levelsOf('int4' as never)).toThrow(
      '[quant] the kind of quantization must be nf4 or fp4 (got int4).',
    );
    expect(() => levelsOf('constructor' as never)).toThrow(expect.objectContaining({ code: 'UNSUPPORTED' }));
  });
});
