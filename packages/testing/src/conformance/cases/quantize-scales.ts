import { f32View, hostData } from '@qdylora/contract';
import { levelSearch, quantizeScales, signedDynamicMap } from '@qdylora/quant';
import fc from 'fast-check';
import { arbitrarySeed, arbitrarySize, normalView } from '../arbitraries.ts';
import { conformanceCase } from '../conformance-case.ts';
import type { Bound } from '../tolerance.ts';

const exact: Bound = () => 0;

export const quantizeScalesCases = [
  conformanceCase(quantizeScales, {
    title: 'byte for byte, at every size, magnitude and spread, on and beside every limit of the map',
    parameters: fc.record({
      size: arbitrarySize(20_000),
      seed: arbitrarySeed,
      scale: fc.constantFrom(1e-39, 1e-20, 1, 1e30),
      spread: fc.constantFrom(0, 1e-4, 1),
    }),
    numRuns: 20,
    call: ({ size, seed, scale, spread }) => {
      const absmax = normalView(seed, 'absmax', [size], spread);
      for (let i = 0; i < size; i++) hostData(absmax)[i] = Math.abs(hostData(absmax)[i] + 3) * scale;
      return { inputs: { absmax }, attributes: {}, bound: exact };
    },
    edges: () =>
      [1, 0.7].map((scale) => ({ inputs: { absmax: nearLimits(scale) }, attributes: {}, bound: exact })),
  }),
];

/**
 * Every number comes with its negative, so the mean is 0 and differences are the numbers; ±1 in every group
 * of 256 makes its scale `scale`: a quotient by 0.7 may round to the other side of a limit than a product.
 */
function nearLimits(scale: number) {
  const { limits } = levelSearch(signedDynamicMap());
  const near = Array.from(limits)
    .flatMap((x) => [x, x * (1 + 2 ** -23), x * (1 - 2 ** -23)])
    .flatMap((x) => [x, -x]);
  const groups = Array.from({ length: Math.ceil(near.length / 254) }, (_, group) => [
    1,
    -1,
    ...near.slice(254 * group, 254 * (group + 1)),
  ]);
  const values = groups.flat().map((x) => x * scale);
  return f32View([values.length], values);
}
