import fc from 'fast-check';
import { expect, it } from 'vitest';
import { simulateStep, type StepCosts } from './simulate-step.ts';

const COSTS: StepCosts = {
  passSeconds: 1,
  updateSeconds: 0.1,
  secondsPerGradientByte: 1e-9,
  latencySeconds: 1e-3,
  bytesPerSecond: 1e9,
  spread: 0,
};

it('one worker does not communicate, and takes the time of its passes and of the update', () => {
  const step = simulateStep(COSTS, { workers: 1, microBatches: 8, gradientBytes: 1e6 });
  expect(step).toMatchObject({ communicationShare: 0, efficiency: 1 });
  expect(step.seconds).toBeCloseTo(8.1, 9);
});

it('with free links, workers that share the passes evenly lose only the update', () => {
  const free = { ...COSTS, updateSeconds: 0, secondsPerGradientByte: 0, latencySeconds: 0 };
  const run = { workers: 8, microBatches: 8, gradientBytes: 1e6 };
  expect(simulateStep({ ...free, bytesPerSecond: Infinity }, run).efficiency).toBeCloseTo(1, 9);
});

it('more workers than micro batches only cost', () => {
  const at = (workers: number) =>
    simulateStep(COSTS, { workers, microBatches: 8, gradientBytes: 1e6 }).seconds;
  expect(at(16)).toBeGreaterThan(at(8));
});

it('no step is shorter than its longest share of passes, and no efficiency is above 1', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 40 }), (workers, microBatches) => {
      const step = simulateStep(COSTS, { workers, microBatches, gradientBytes: 1e6 });
      expect(step.seconds).toBeGreaterThanOrEqual(Math.ceil(microBatches / workers));
      expect(step.efficiency).toBeLessThanOrEqual(1 + 1e-9);
    }),
    { numRuns: 20 },
  );
});
