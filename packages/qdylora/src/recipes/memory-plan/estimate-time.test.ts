import { createHostBackend } from '@qdylora/contract';
import { describe, expect, it } from 'vitest';
import { resolveRun } from '../../config/resolve-run.ts';
import { valuesOfOptions } from '../../config/explicit-values.ts';
import { estimateTime, passesPerRow, timeProduct, trainingOperations } from './estimate-time.ts';

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
      expect(time.stepSeconds).toBeCloseTo((1.4375 * 48 * 4060) / time.operationsPerSecond, 12);
      expect(time.runSeconds).toBe(5 * time.stepSeconds);
      expect(backend.memory.usage().liveBytes).toBe(liveBytes);
    },
  );
});

describe('the passes of a row', () => {
  it.each<[number, object]>([
    [1, { distillation: 0 }],
    [1.4375, {}], // in 0.7 of the steps half of the rows run at rank 1 too, in a quarter of them a drawn rank
    [1.625, { wideRatio: 0 }],
    [1.35, { distillationStudent: 'smallest' }],
    [1.7, { distillationStudent: 'both', ranks: [1, 4], rankDistribution: [1, 0] }],
    [1, { distillationStudent: 'drawn' }],
    [1, { method: 'none' }],
  ])('are %d on average with %j', (passes, options) => {
    expect(passesPerRow(configOf(options))).toBeCloseTo(passes, 12);
  });
});

describe('the measured product', () => {
  /** Products of 1 ms a token, of which those with these numbers take longer. */
  const products = (interrupted: Readonly<Record<number, number>>) => {
    let count = 0;
    const secondsOf = (tokens: number): Promise<number> =>
      Promise.resolve(interrupted[count++] ?? tokens / 1000);
    return { secondsOf, count: () => count };
  };

  it('has the usual speed where another process interrupts the first product, or a later one', async () => {
    const cases: Readonly<Record<number, number>>[] = [
      {},
      { 0: 9 },
      { 4: 0.5 },
      { 9: 0.1, 10: 0.1 },
      { 0: 9, 3: 9, 6: 9, 9: 9 },
    ];
    for (const interrupted of cases)
      expect(await timeProduct(products(interrupted).secondsOf, false)).toEqual({
        tokens: 32,
        seconds: 0.032,
      });
  });

  it('is timed once where it is usually slow', async () => {
    const slow = products({ 0: 0.3 });
    expect(await timeProduct(slow.secondsOf, true)).toEqual({ tokens: 4, seconds: 0.3 });
    expect(slow.count()).toBe(1);
  });

  it('has at most 512 tokens', async () => {
    expect(await timeProduct(() => Promise.resolve(0.001), false)).toEqual({ tokens: 512, seconds: 0.001 });
  });
});
