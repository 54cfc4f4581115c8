import { sourceOf } from '@qdylora/data';
import { expect, it } from 'vitest';
import { valuesOfOptions } from '../../../config/explicit-values.ts';
import { resolveRun } from '../../../config/resolve-run.ts';
import { layOutSteps } from './lay-out-steps.ts';

it.each([
  ['polynomial', null, 1e-7],
  ['polynomial', 0, 0],
  ['polynomial', 0.1, 1e-4],
  ['cosine', null, 0],
  ['cosine', 0.1, 1e-4],
] as const)('%s with min_learning_rate_ratio %j falls to the rate %d', (lrScheduler, ratio, end) => {
  const keys = { lrScheduler, minLearningRateRatio: ratio, maxSteps: 4, warmupSteps: 0 };
  const config = { ...resolveRun(valuesOfOptions(keys)), learningRate: 1e-3 };
  const training = sourceOf([{ ids: Int32Array.of(1, 2), labels: Int32Array.of(-100, 2) }]);
  const { schedule, totalSteps } = layOutSteps(config, { training }, () => {});
  expect(schedule.at(totalSteps)).toBeCloseTo(end, 12);
});
