import fc from 'fast-check';
import { expect, test } from 'vitest';
import { hostData, f32View, runOp } from '@qdylora/contract';
import { levelSearch, quantizeScales, signedDynamicMap } from '@qdylora/quant';
import { arbitrarySeed, arbitrarySize, checkKernel, normalView } from '@qdylora/testing';
import { everyLevel } from '../../test/every-level.ts';

const levels = await everyLevel();
const exact = (): number => 0;

test("codes, nested scales and offset are the reference's bytes at every size, magnitude and spread", () => {
  fc.assert(
    fc.property(
      arbitrarySize(20_000),
      arbitrarySeed,
      fc.constantFrom(1e-39, 1e-20, 1, 1e30),
      fc.constantFrom(0, 1e-4, 1),
      (size, seed, scale, spread) => {
        const absmax = normalView(seed, 'absmax', [size], spread);
        for (let i = 0; i < size; i++) hostData(absmax)[i] = Math.abs(hostData(absmax)[i]! + 3) * scale;
        checkKernel(quantizeScales, levels, { inputs: { absmax }, attributes: {}, bound: exact });
      },
    ),
    { numRuns: 20 },
  );
});

test("differences on and beside every limit of the map get the reference's codes", () => {
  // Every number comes with its negative, so the mean is 0 and differences are the numbers; ±1 in every group
  // of 256 makes its scale 1.
  const { limits } = levelSearch(signedDynamicMap());
  const near = [...limits]
    .flatMap((x) => [x, x * (1 + 2 ** -23), x * (1 - 2 ** -23)])
    .flatMap((x) => [x, -x]);
  const groups = Array.from({ length: Math.ceil(near.length / 254) }, (_, g) => [
    1,
    -1,
    ...near.slice(254 * g, 254 * (g + 1)),
  ]);
  const absmax = f32View([groups.flat().length], groups.flat());
  checkKernel(quantizeScales, levels, { inputs: { absmax }, attributes: {}, bound: exact });
});

test('NaN and infinity are NON_FINITE', () => {
  for (const { backends } of levels) {
    for (const bad of [NaN, Infinity]) {
      const absmax = f32View([300], new Float32Array(300).fill(1));
      hostData(absmax)[277] = bad;
      expect(() => runOp(backends[0]!, quantizeScales, { absmax }, {})).toThrow(
        expect.objectContaining({ code: 'NON_FINITE' }),
      );
    }
  }
});
