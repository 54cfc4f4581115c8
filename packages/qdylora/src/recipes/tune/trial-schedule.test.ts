import { learningRateSchedule, type ScheduleName } from '@qdylora/trainer';
import { expect, it } from 'vitest';
import { trialSchedule } from './trial-schedule.ts';

const factorsOf = (name: ScheduleName, warmup: { run: number; trial: number }): number[] => {
  const learningRate = 2e-3;
  const schedule = learningRateSchedule({
    name,
    learningRate,
    totalSteps: 150,
    warmupSteps: name === 'constant' ? 0 : warmup.run,
  });
  const factor = trialSchedule(
    { schedule, totalSteps: 150, learningRate },
    { steps: 30, warmupSteps: warmup.trial },
  );
  return Array.from({ length: 30 }, (_, step) => factor(step));
};

it('rises over its own warm-up and falls as the run does', () => {
  const factors = factorsOf('linear', { run: 10, trial: 2 });
  expect(factors.slice(0, 3)).toEqual([1 / 3, 2 / 3, 1]);
  factors.slice(2).forEach((factor, i) => expect(factor).toBeCloseTo(1 - i / 28, 2));
});

it('is constant where the run is', () => {
  expect(new Set(factorsOf('constant', { run: 0, trial: 0 }))).toEqual(new Set([1]));
  expect(new Set(factorsOf('constant_with_warmup', { run: 8, trial: 4 }).slice(4))).toEqual(new Set([1]));
});

it('is constant after its warm-up where the run is nothing but a warm-up', () => {
  expect(new Set(factorsOf('linear', { run: 150, trial: 4 }).slice(4))).toEqual(new Set([1]));
});
