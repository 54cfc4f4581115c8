import { localWorld, oneProcess, type Communicator } from '@qdylora/collectives';
import type { RankSchedule } from '@qdylora/lora-dynamic';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { gradientsOfStep, type SharedStepOptions, type StepSetting } from '../../test/gradients-of-step.ts';
import type { Pass } from '../step/run-pass.ts';
import { librarySum, type GradientSum } from './gradient-sum.ts';

interface StepShape extends StepSetting {
  readonly size: number;
}

const anyStep: fc.Arbitrary<StepShape> = fc.record({
  size: fc.integer({ min: 1, max: 4 }),
  accumulate: fc.integer({ min: 1, max: 5 }),
  rankSchedule: fc.constantFrom<RankSchedule>('one', 'stratified', 'sandwich', 'all'),
  step: fc.nat(7),
});

/** The gradients of all parameters, one after the other. */
async function gradientsOn(
  workers: Communicator,
  shape: StepShape,
  options: Pick<SharedStepOptions, 'gradientSum' | 'choose'>,
): Promise<number[]> {
  const { values } = await gradientsOfStep(workers, shape, { lossScale: 0.01, ...options });
  return values.flatMap((gradient) => Array.from(gradient));
}

const gradientsOnAll = (shape: StepShape, gradientSum: GradientSum | null): Promise<number[][]> =>
  Promise.all(localWorld(shape.size).map((workers) => gradientsOn(workers, shape, { gradientSum })));

describe('a sum in the order of the library', () => {
  it('is the same on all workers, and the exact one within its bound', async () => {
    await fc.assert(
      fc.asyncProperty(anyStep, async (shape) => {
        const [exact] = await gradientsOnAll(shape, null);
        const [sum, ...others] = await gradientsOnAll(shape, librarySum);
        for (const other of others) expect(other).toEqual(sum);
        let passes: readonly Pass[] = [];
        await gradientsOn(oneProcess(), shape, { choose: (all) => (passes = all) });
        const terms = await Promise.all(
          passes.map((_, i) => gradientsOn(oneProcess(), shape, { choose: (all) => [all[i]] })),
        );
        sum.forEach((value, i) => {
          const size = terms.reduce((total, term) => total + Math.abs(term[i]), 0);
          const bound = 2 * terms.length * 2 ** -24 * size;
          expect(Math.abs(value - exact[i]), `element ${i}`).toBeLessThanOrEqual(bound);
        });
      }),
      { numRuns: 25 },
    );
  });

  it('on one worker calls nothing, and adds passes where they are computed', async () => {
    const refusing: GradientSum = { add: () => Promise.reject(new Error('called')) };
    const shape: StepShape = { size: 1, accumulate: 3, rankSchedule: 'one', step: 0 };
    expect(await gradientsOnAll(shape, refusing)).toEqual(await gradientsOnAll(shape, librarySum));
  });
});
