import { readFileSync } from 'node:fs';
import { goldenCases } from '@qdylora/testing';
import { describe, expect, it } from 'vitest';
import { learningRateSchedule, SCHEDULE_NAMES, type ScheduleName } from './learning-rate-schedule.ts';

const cases = goldenCases((file) => readFileSync(new URL(`../../fixtures/${file}`, import.meta.url))).filter(
  ({ file }) => file === 'schedules.safetensors',
);

describe('learning rates against transformers 5.24', () => {
  it('has the 13 schedules at two lengths and three warm-ups, and so cases of all our names', () => {
    expect(cases.length).toBe(13 * 2 * 3);
    expect(new Set(cases.map(({ facts }) => facts.schedule))).toEqual(
      new Set([...SCHEDULE_NAMES, 'cosine_with_min_lr']),
    );
  });

  it.each(cases.map((golden) => [golden.name, golden] as const))(
    '%s is the same at every step, and past the end',
    (_, golden) => {
      const {
        schedule,
        base_lr: learningRate,
        total_steps: totalSteps,
        warmup_steps: warmupSteps,
        min_lr: least,
        lr_end: end = least,
        num_cycles: numCycles,
        power,
        timescale,
        num_decay_steps: numDecaySteps,
      } = golden.facts;
      const name: ScheduleName = schedule === 'cosine_with_min_lr' ? 'cosine' : schedule;
      const minLearningRateRatio = end === undefined ? undefined : end / learningRate;
      const { at } = learningRateSchedule({
        name,
        learningRate,
        totalSteps,
        warmupSteps,
        minLearningRateRatio,
        numCycles,
        power,
        timescale,
        numDecaySteps,
      });
      const want = golden.tensor('learning_rates').f64();
      expect(want.length).toBe(totalSteps + 5);
      want.forEach((rate, step) => {
        expect(Math.abs(at(step) - rate), `step ${step}`).toBeLessThanOrEqual(
          4 * 2 ** -52 * rate + 2 ** -52 * learningRate,
        );
      });
    },
  );

  it.each(cases.map((golden) => [golden.name, golden] as const))(
    '%s turns the ratio into the same number of warm-up steps',
    (_, { facts }) => {
      expect(
        learningRateSchedule({
          name: 'linear',
          learningRate: 1,
          totalSteps: facts.total_steps,
          warmupRatio: facts.warmup_ratio,
        }).warmupSteps,
      ).toBe(facts.warmup_steps);
    },
  );
});
