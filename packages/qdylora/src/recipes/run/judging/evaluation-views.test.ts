import { expect, it } from 'vitest';
import { trainingOperations } from '../../memory-plan/estimate-time.ts';
import { forwardShare } from './evaluation-views.ts';

it.each([
  ['none', 1 / 3, 1 / 4],
  ['qdylora', 1 / 2, 1 / 3],
] as const)(
  'a forward pass has its share of the operations of training with %s',
  (method, plain, recomputed) => {
    const model = {
      parameterCount: 1e9,
      trainableCount: method === 'none' ? 1e9 : 0,
      hiddenSize: 1,
      layers: 4,
    };
    const schedule = { method, rankSchedule: 'sample', ranks: null } as never;
    for (const [gradientCheckpointing, recompute, share] of [
      [false, false, plain],
      [true, true, recomputed],
    ] as const) {
      const operations = trainingOperations(schedule, { ...model, recompute });
      expect((2 * model.parameterCount) / operations).toBeCloseTo(share, 12);
      expect(forwardShare({ method, gradientCheckpointing })).toBeCloseTo(share, 12);
    }
  },
);
