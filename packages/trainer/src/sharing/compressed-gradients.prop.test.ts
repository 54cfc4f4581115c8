import { localWorld, SENT_FORMATS } from '@qdylora/collectives';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { trainOnAll } from '../../test/train-on-all.ts';
import { compressedGradients } from './compressed-gradients.ts';

describe('compressed gradients', () => {
  it('over steps of different ranks add up to the exact ones, but for one quantum a worker', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...SENT_FORMATS),
        fc.integer({ min: 2, max: 4 }),
        fc.array(fc.constantFrom(1, 2, 4), { minLength: 1, maxLength: 10 }),
        fc.constantFrom(1, 2, 0.5),
        async (format, size, ranks, growth) => {
          const worlds = localWorld(size);
          const sums = worlds.map(() => compressedGradients(format));
          const widths = [3, 5];
          const exact = widths.map((width) => new Float64Array(4 * width));
          const added = widths.map((width) => new Float64Array(4 * width));
          const numberAt = (worker: number, step: number, i: number): number =>
            Math.sin(1 + 7 * worker + 13 * step + 3 * i);
          // the last step sends all rows, so that what earlier ones left behind is sent too
          for (const [step, rank] of [...ranks, 4].entries()) {
            const lengths = widths.map((width) => rank * width);
            const lossFactor = growth ** step; // as of loss scaling: it changes between steps
            const arrays = worlds.map((_, worker) =>
              Float32Array.from(
                { length: lengths[0] + lengths[1] },
                (__, i) => lossFactor * numberAt(worker, step, i),
              ),
            );
            const addTo = (totals: readonly Float64Array[], values: Float32Array): void => {
              let start = 0;
              lengths.forEach((length, parameter) => {
                for (let i = 0; i < length; i++) totals[parameter][i] += values[start++] / lossFactor;
              });
            };
            for (const values of arrays) addTo(exact, values);
            await Promise.all(
              worlds.map((world, worker) =>
                sums[worker].add(world, { values: arrays[worker], lengths, lossFactor }),
              ),
            );
            addTo(added, arrays[0]);
          }
          // Σ results = Σ numbers − residuals; a residual is at most half a quantum of what was sent, twice
          const quantum = (size * 1.1) / (format === 'bf16' ? 256 : 254);
          exact.forEach((numbers, parameter) => {
            numbers.forEach((number, i) => {
              expect(Math.abs(added[parameter][i] - number)).toBeLessThanOrEqual((size + 1) * quantum);
            });
          });
        },
      ),
      { numRuns: 40 },
    );
  });

  it.each(SENT_FORMATS)(
    'in %s train the same weights on all workers, near the exact ones',
    async (format) => {
      const options = { totalSteps: 6, accumulate: 4 };
      const [exact] = await trainOnAll(2, options);
      const outcomes = await trainOnAll(2, () => ({ ...options, gradientSum: compressedGradients(format) }));
      expect(outcomes[1]).toEqual(outcomes[0]);
      expect(outcomes[0].numbers).not.toEqual(exact.numbers);
      outcomes[0].losses.forEach((loss, i) => {
        expect(Math.abs(loss / exact.losses[i] - 1)).toBeLessThan(0.02);
      });
    },
  );
});
