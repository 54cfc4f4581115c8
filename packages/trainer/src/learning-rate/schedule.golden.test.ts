import { readFileSync } from 'node:fs';
import { goldenCases } from '@qdylora/testing';
import { describe, expect, it } from 'vitest';
import { learningRateSchedule, SCHEDULE_NAMES, type ScheduleName } from './schedule.ts';

const cases = goldenCases((file) => readFileSync(new URL(`../../fixtures/${file}`, import.meta.url))).filter(({ file, facts }) => file === 'schedules.safetensors' && !('num_cycles' in facts));
const ours = cases.filter(({ facts }) => (SCHEDULE_NAMES as readonly string[]).includes(facts.schedule) || facts.schedule === 'cosine_with_min_lr');

describe('learning rates against transformers 5.24', () => {
  it('has cases of all our schedules', () => { expect(new Set(ours.map(({ facts }) => facts.schedule)).size).toBe(SCHEDULE_NAMES.length + 1); });

  it.each(ours.map((golden) => [golden.name, golden] as const))('%s is the same at every step, and past the end', (_, golden) => {
    const { schedule, base_lr: learningRate, total_steps: totalSteps, warmup_steps: warmupSteps, min_lr: minimum } = golden.facts;
    const name: ScheduleName = schedule === 'cosine_with_min_lr' ? 'cosine' : schedule, { at } = learningRateSchedule({ name, learningRate, totalSteps, warmupSteps, minLearningRateRatio: minimum ? minimum / learningRate : 0 });
    const want = golden.tensor('learning_rates').f64();
    want.forEach((rate, step) => { expect(Math.abs(at(step) - rate), `step ${step}`).toBeLessThanOrEqual(4 * 2 ** -52 * rate + 2 ** -52 * learningRate); });
  });

  it.each(ours.map((golden) => [golden.name, golden] as const))('%s turns the ratio into the same number of warm-up steps', (_, { facts }) => {
    expect(learningRateSchedule({ name: 'linear', learningRate: 1, totalSteps: facts.total_steps, warmupRatio: facts.warmup_ratio }).warmupSteps).toBe(facts.warmup_steps);
  });
});
