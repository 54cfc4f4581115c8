import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { learningRateSchedule, SCHEDULE_NAMES, type ScheduleName } from './learning-rate-schedule.ts';

const options = fc
  .record({
    name: fc.constantFrom(...SCHEDULE_NAMES),
    totalSteps: fc.integer({ min: 1, max: 200 }),
    warmupRatio: fc.double({ min: 0, max: 1, noNaN: true }),
    minLearningRateRatio: fc.double({ min: 0, max: 1, noNaN: true }),
  })
  .map((all) =>
    ['cosine', 'polynomial', 'warmup_stable_decay'].includes(all.name)
      ? all
      : { ...all, minLearningRateRatio: 0 },
  );

describe('every schedule', () => {
  it('stays between 0 and the peak, and rises after the warm-up only where it restarts', () => {
    fc.assert(
      fc.property(options, (chosen) => {
        const { at, warmupSteps } = learningRateSchedule({ ...chosen, learningRate: 2e-4 });
        for (let step = 0; step < chosen.totalSteps; step++) {
          expect(at(step)).toBeGreaterThanOrEqual(0);
          expect(at(step)).toBeLessThanOrEqual(2e-4 * (1 + 2 ** -52));
          if (step > warmupSteps) expect(at(step)).toBeLessThanOrEqual(at(step - 1) * (1 + 2 ** -50));
        }
      }),
    );
  });

  it.each(SCHEDULE_NAMES.filter((name) => name !== 'constant'))(
    '%s reaches the peak right after the warm-up',
    (name) => {
      const { at } = learningRateSchedule({ name, learningRate: 1, totalSteps: 50, warmupSteps: 7 });
      expect([at(0), at(6), at(7)]).toEqual([0, 6 / 7, 1]);
    },
  );

  it('restarts a cosine as often as asked', () => {
    const { at } = learningRateSchedule({
      name: 'cosine_with_restarts',
      learningRate: 1,
      totalSteps: 30,
      numCycles: 3,
    });
    const rates = Array.from({ length: 30 }, (_, step) => at(step));
    expect(rates.flatMap((rate, step) => (step > 0 && rate > rates[step - 1] ? [step] : []))).toEqual([
      10, 20,
    ]);
  });

  it('lets the last tenth of warmup_stable_decay fall, where nobody says how much', () => {
    const { at } = learningRateSchedule({
      name: 'warmup_stable_decay',
      learningRate: 1,
      totalSteps: 50,
      warmupSteps: 5,
    });
    expect([at(5), at(45), at(46) < 1, at(50)]).toEqual([1, 1, true, 0]);
  });

  it('lets warmupSteps win over warmupRatio', () => {
    expect(
      learningRateSchedule({
        name: 'linear',
        learningRate: 1,
        totalSteps: 50,
        warmupSteps: 2,
        warmupRatio: 0.5,
      }).warmupSteps,
    ).toBe(2);
  });

  it('ends a cosine at the asked share of the peak', () => {
    expect(
      learningRateSchedule({ name: 'cosine', learningRate: 1, totalSteps: 40, minLearningRateRatio: 0.1 }).at(
        40,
      ),
    ).toBeCloseTo(0.1, 12);
  });

  it.each([
    [
      { name: 'cosin' as ScheduleName },
      /no schedule named cosin\. The names are constant, .*, warmup_stable/,
    ],
    [{ warmupRatio: 1.5 }, /`warmup_ratio` must be between 0 and 1 \(got 1\.5\)/],
    [{ learningRate: NaN }, /`learning_rate` must be a number of at least 0 \(got NaN\)/],
    [{ warmupSteps: 2.5 }, /`warmup_steps` must be a whole number of at least 0 \(got 2\.5\)/],
    [
      { minLearningRateRatio: 0.1 },
      /`min_learning_rate_ratio` has no effect with lr_scheduler linear\. Leave it out, or choose cosine or/,
    ],
    [{ numCycles: 2 }, /`lr_num_cycles` has no effect with lr_scheduler linear/],
    [{ power: 2 }, /`lr_power` has no effect with lr_scheduler linear\. Leave it out, or choose polynomial/],
    [{ name: 'polynomial' as const, power: 0 }, /`lr_power` must be greater than 0 \(got 0\)/],
    [
      { name: 'warmup_stable_decay' as const, numDecaySteps: 11 },
      /`lr_num_decay_steps` must be a whole number between 0 and 10 \(got 11\)/,
    ],
  ])('refuses %o', (change, message) => {
    expect(() =>
      learningRateSchedule({ name: 'linear', learningRate: 1, totalSteps: 10, ...change }),
    ).toThrow(message);
  });
});
