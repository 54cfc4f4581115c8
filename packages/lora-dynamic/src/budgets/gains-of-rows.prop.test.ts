import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { adaptedToy } from '../../test/adapted-toy.ts';
import { gainsOfRows, RANK_SCALINGS, scaleAt, type AdapterState, type RowFisher } from '../index.ts';

const RANK = 5;

/** Random q·qᵀ, summed over examples: [RANK, RANK]. */
function squaresOf(derivatives: readonly (readonly number[])[]): Float64Array {
  const sums = new Float64Array(RANK * RANK);
  for (const q of derivatives)
    for (let i = 0; i < RANK; i++) for (let j = 0; j < RANK; j++) sums[i * RANK + j] += q[i] * q[j];
  return sums;
}

const fisherOf = ({ layers }: AdapterState, sums: Float64Array): RowFisher =>
  new Map(layers.map(({ name }) => [name, sums]));

const arbitraryDerivatives = fc.array(
  fc.array(fc.double({ min: -3, max: 3, noNaN: true }), { minLength: RANK, maxLength: RANK }),
  { minLength: 1, maxLength: 6 },
);

describe('gains of rows', () => {
  test('never rise, and add up to no less than the estimated loss falls', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...RANK_SCALINGS),
        arbitraryDerivatives,
        async (scaling, derivatives) => {
          const state = await adaptedToy(1, { ranks: [1, 2, RANK], scaling }).state();
          const share = (rank: number): number =>
            rank === 0
              ? 0
              : scaleAt(scaling, state.alpha, rank, RANK) / scaleAt(scaling, state.alpha, RANK, RANK);
          // half of the mean square of what the cut takes from each example's loss, to first order
          const riseAt = (rank: number): number =>
            derivatives.reduce((sum, q) => {
              const lost = q.reduce((total, value, i) => total + value * (i < rank ? 1 - share(rank) : 1), 0);
              return sum + lost ** 2 / 2;
            }, 0);
          for (const { gains } of gainsOfRows(state, fisherOf(state, squaresOf(derivatives)))) {
            const tolerance = 1e-9 * (1 + Math.max(...[0, 1, 2, 3, 4, 5].map(riseAt)));
            let sum = 0;
            gains.forEach((gain, row) => {
              if (row > 0) expect(gain).toBeLessThanOrEqual(gains[row - 1] + tolerance);
              sum += gain;
              expect(sum).toBeGreaterThanOrEqual(riseAt(0) - riseAt(row + 1) - tolerance);
            });
            expect(Math.abs(sum - riseAt(0))).toBeLessThanOrEqual(tolerance);
          }
        },
      ),
      { numRuns: 30 },
    );
  });

  test('are half of the diagonal where rows do not interact and are sorted', async () => {
    const state = await adaptedToy(1, { ranks: [1, 2, RANK], scaling: 'constant' }).state();
    const diagonal = [8, 4, 4, 1, 0];
    const sums = Float64Array.from({ length: RANK * RANK }, (_, i) =>
      i % (RANK + 1) === 0 ? diagonal[i / (RANK + 1)] : 0,
    );
    for (const { gains } of gainsOfRows(state, fisherOf(state, sums)))
      expect([...gains]).toEqual([4, 2, 2, 0.5, 0]);
  });

  test('are refused for numbers that are missing or not finite, with the layer', async () => {
    const state = await adaptedToy(1, { ranks: [1, 2, RANK], scaling: 'constant' }).state();
    const [{ name }] = state.layers;
    const message = `The Fisher information of ${name} is missing, or has numbers that are not finite`;
    expect(() => gainsOfRows(state, new Map())).toThrow(message);
    expect(() => gainsOfRows(state, fisherOf(state, new Float64Array(RANK * RANK).fill(NaN)))).toThrow(
      message,
    );
  });

  test('share what a later row gains with the rows before it', async () => {
    const state = await adaptedToy(1, { ranks: [1, 2, RANK], scaling: 'constant' }).state();
    const sums = Float64Array.from({ length: RANK * RANK }, (_, i) => (i === 2 * (RANK + 1) ? 6 : 0));
    for (const { gains } of gainsOfRows(state, fisherOf(state, sums)))
      expect([...gains]).toEqual([1, 1, 1, 0, 0]);
  });
});
