import { localWorld, type Communicator } from '@qdylora/collectives';
import { hostData } from '@qdylora/contract';
import { rankSampler, type RankSchedule } from '@qdylora/lora-dynamic';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { tinyAdapted, tinyBatches } from '../../test/tiny-model.ts';
import { clearGradients } from '../step/accumulate-gradients.ts';
import { passesOfStep } from '../step/passes-of-step.ts';
import type { Pass } from '../step/run-pass.ts';
import { adamw } from '../index.ts';
import { librarySum, type GradientSum } from './gradient-sum.ts';
import { shareAccumulation } from './share-accumulation.ts';

interface StepShape {
  readonly size: number;
  readonly accumulate: number;
  readonly rankSchedule: RankSchedule;
  readonly step: number;
}

const anyStep: fc.Arbitrary<StepShape> = fc.record({
  size: fc.integer({ min: 1, max: 4 }),
  accumulate: fc.integer({ min: 1, max: 5 }),
  rankSchedule: fc.constantFrom<RankSchedule>('one', 'stratified', 'sandwich', 'all'),
  step: fc.nat(7),
});

/** The passes of a step on a new model, and what they leave in the gradients. */
function openStep({ accumulate, rankSchedule, step }: StepShape) {
  const adapted = tinyAdapted();
  const optimizer = adamw(adapted.parameters(), { learningRate: 1e-2 });
  const sampler = rankSampler(adapted.ranks, { seed: 1, schedule: rankSchedule });
  const batches = tinyBatches(24, 2, accumulate).batchAt(step);
  const { backend } = adapted.model;
  clearGradients({ backend }, optimizer);
  const gradients = (): number[] =>
    optimizer.parameters.flatMap(({ gradient }) => Array.from(hostData(gradient!)));
  return { backend, optimizer, gradients, passes: passesOfStep(step, batches, adapted, sampler).passes };
}

async function gradientsOn(
  workers: Communicator,
  shape: StepShape,
  gradientSum: GradientSum | null,
  choose = (passes: readonly Pass[]): readonly Pass[] => passes,
): Promise<number[]> {
  const { backend, optimizer, gradients, ...step } = openStep(shape);
  const passes = choose(step.passes);
  const losses = backend.memory.allocate('f32', [passes.length]);
  backend.memory.persist(losses);
  await shareAccumulation(
    { passes, lossScale: 0.01, lossFactor: 1, losses, optimizer, workers, gradientSum, maxRanks: null },
    {},
  );
  return gradients();
}

const gradientsOnAll = (shape: StepShape, gradientSum: GradientSum | null): Promise<number[][]> =>
  Promise.all(localWorld(shape.size).map((workers) => gradientsOn(workers, shape, gradientSum)));

describe('a sum in the order of the library', () => {
  it('is the same on all workers, and the exact one within its bound', async () => {
    await fc.assert(
      fc.asyncProperty(anyStep, async (shape) => {
        const [exact] = await gradientsOnAll(shape, null);
        const [sum, ...others] = await gradientsOnAll(shape, librarySum);
        for (const other of others) expect(other).toEqual(sum);
        const { passes } = openStep(shape);
        const terms = await Promise.all(
          passes.map((_, i) => gradientsOn(localWorld(1)[0], shape, null, (all) => [all[i]])),
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
