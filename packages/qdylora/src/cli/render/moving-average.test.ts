import fc from 'fast-check';
import { expect, it } from 'vitest';
import { movingAverage } from './moving-average.ts';

const number = fc.double({ min: -1e6, max: 1e6, noNaN: true });

it('lies between the least and the largest value, and is the value where all are equal', () => {
  fc.assert(
    fc.property(
      fc.array(number, { minLength: 1 }),
      fc.double({ min: 0.01, max: 1, noNaN: true }),
      (values, weight) => {
        const average = movingAverage(weight);
        const last = values.map(average).at(-1)!;
        expect(last).toBeGreaterThanOrEqual(Math.min(...values) - 1e-6);
        expect(last).toBeLessThanOrEqual(Math.max(...values) + 1e-6);
      },
    ),
  );
});

it('leaves out what is not finite, and is NaN before the first value', () => {
  const average = movingAverage(0.5);
  expect([average(NaN), average(3), average(Infinity), average(NaN)]).toEqual([NaN, 3, 3, 3]);
});
