import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { learningRateSchedule, SCHEDULE_NAMES, type ScheduleName } from './schedule.ts';

const options = fc.record({ name: fc.constantFrom(...SCHEDULE_NAMES), totalSteps: fc.integer({ min: 1, max: 200 }), warmupRatio: fc.double({ min: 0, max: 1, noNaN: true }), minLearningRateRatio: fc.double({ min: 0, max: 1, noNaN: true }) });

describe('every schedule', () => {
  it('stays between 0 and the peak, and never rises after the warm-up', () => {
    fc.assert(fc.property(options, (chosen) => {
      const { at, warmupSteps } = learningRateSchedule({ ...chosen, learningRate: 2e-4 });
      for (let step = 0; step < chosen.totalSteps; step++) {
        expect(at(step)).toBeGreaterThanOrEqual(0);
        expect(at(step)).toBeLessThanOrEqual(2e-4 * (1 + 2 ** -52));
        if (step > warmupSteps) expect(at(step)).toBeLessThanOrEqual(at(step - 1) * (1 + 2 ** -50));
      }
    }));
  });

  it.each(SCHEDULE_NAMES.filter((name) => name !== 'constant'))('%s reaches the peak right after the warm-up', (name) => {
    const { at } = learningRateSchedule({ name, learningRate: 1, totalSteps: 50, warmupSteps: 7 });
    expect([at(0), at(6), at(7)]).toEqual([0, 6 / 7, 1]);
  });

  it('lets warmupSteps win over warmupRatio', () => {
    expect(learningRateSchedule({ name: 'linear', learningRate: 1, totalSteps: 50, warmupSteps: 2, warmupRatio: 0.5 }).warmupSteps).toBe(2);
  });

  it('ends a cosine at the asked share of the peak', () => {
    expect(learningRateSchedule({ name: 'cosine', learningRate: 1, totalSteps: 40, minLearningRateRatio: 0.1 }).at(40)).toBeCloseTo(0.1, 12);
  });

  it.each([[{ name: 'cosin' as ScheduleName }, /one of constant, constant_with_warmup, linear, cosine, got cosin/], [{ warmupRatio: 1.5 }, /warmup_ratio, got 1\.5/], [{ learningRate: NaN }, /learning_rate, got NaN/], [{ warmupSteps: 2.5 }, /warmup_steps, got 2\.5/]])('refuses %o', (change, message) => {
    expect(() => learningRateSchedule({ name: 'linear', learningRate: 1, totalSteps: 10, ...change })).toThrow(message);
  });
});
