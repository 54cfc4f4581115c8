import { createHostBackend } from '@qdylora/contract';
import { describe, expect, it } from 'vitest';
import { resolveRun } from '../../config/resolve-run.ts';
import { valuesOfOptions } from '../../config/explicit-values.ts';
import { estimateTime, trainingOperations } from './estimate-time.ts';

const model = { parameterCount: 1000, trainableCount: 10, hiddenSize: 64, layers: 4, recompute: false };
const configOf = (options: object) => ({
  ...resolveRun(
    valuesOfOptions({
      model: 'm',
      dataset: 'd',
      outputDir: 'o',
      microBatchSize: 2,
      maxSeqLength: 8,
      ...options,
    }),
  ),
  computeDtype: 'f32' as const,
});

describe('the operations of one trained token', () => {
  it('are 4 a frozen parameter and 6 a trained one, and 2 more of each where forward runs again', () => {
    const config = configOf({});
    expect(trainingOperations(config, model)).toBe(4 * 1000 + 6 * 10);
    expect(trainingOperations(config, { ...model, recompute: true })).toBe(6 * 1000 + 8 * 10);
    expect(trainingOperations(config, { ...model, recompute: { first: 2 } })).toBe(5 * 1000 + 7 * 10);
  });

  it('count each parameter once in full training, and each rank in the schedule `all`', () => {
    expect(trainingOperations(configOf({ method: 'none' }), { ...model, trainableCount: 1000 })).toBe(6000);
    const all = configOf({ ranks: [1, 2, 4], rankSchedule: 'all' });
    expect(trainingOperations(all, model)).toBe(3 * 4060);
  });
});

describe('the estimate of time', () => {
  it.each(['nf4', 'fp4', 'none'])(
    'of a base in %s is operations over a measured speed',
    async (quantization) => {
      const backend = createHostBackend();
      const { liveBytes } = backend.memory.usage();
      const config = configOf({ quantization, maxSteps: 5, gradientAccumulationSteps: 3 });
      const time = await estimateTime(backend, config, model);
      expect(time.operationsPerSecond).toBeGreaterThan(0);
      expect(time.stepTokens).toBe(2 * 3 * 8);
      expect(time.stepSeconds).toBeCloseTo((48 * 4060) / time.operationsPerSecond, 12);
      expect(time.runSeconds).toBe(5 * time.stepSeconds);
      expect(backend.memory.usage().liveBytes).toBe(liveBytes);
    },
  );
});
