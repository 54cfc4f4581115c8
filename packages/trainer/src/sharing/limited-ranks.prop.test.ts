import { localWorld, oneProcess } from '@qdylora/collectives';
import { hostData } from '@qdylora/contract';
import type { RankSchedule } from '@qdylora/lora-dynamic';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { gradientsOfStep } from '../../test/gradients-of-step.ts';
import { failureOf, tinyOptions } from '../../test/tiny-run.ts';
import { trainOn, trainOnAll } from '../../test/train-on-all.ts';
import { librarySum, train } from '../index.ts';
import type { Pass } from '../step/run-pass.ts';
import { limitRanks, type WorkerRanks } from './limited-ranks.ts';
import { termsOf } from './passes-of-worker.ts';

const MAX_RANK = 4;
const anySchedule = fc.constantFrom<RankSchedule>('one', 'each', 'stratified', 'sandwich', 'all');
const anySum = fc.constantFrom(null, librarySum);

/** Counted tokens of a pass at a rank of at least `least`. */
function tokensFrom({ view: { active }, batch }: Pass, least: number): number {
  const parts = active!.parts ?? [{ rank: active!.rank, until: batch.ids.length }];
  return batch.targets.reduce((count, target, i) => {
    const { rank } = parts.find(({ until }) => i < until)!;
    return count + (target >= 0 && rank >= least ? 1 : 0);
  }, 0);
}

describe('ranks by worker', () => {
  it('that are all the largest one change no bit', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 4 }),
        fc.integer({ min: 1, max: 4 }),
        anySchedule,
        async (size, accumulate, rankSchedule) => {
          const options = { totalSteps: 3, accumulate, rankSchedule };
          const alone = await trainOn(oneProcess(), options);
          const maxRanks = Array.from({ length: size }, () => MAX_RANK);
          for (const outcome of await trainOnAll(size, { ...options, maxRanks }))
            expect(outcome).toEqual(alone);
        },
      ),
      { numRuns: 8 },
    );
  });

  it('leave the rows past every one of them as they were, also under weight decay', async () => {
    const maxRanks = [1, 2];
    const options = { totalSteps: 4, accumulate: 3, weightDecay: 0.1, maxRanks };
    const rowsPast = (numbers: readonly Float32Array[]): number[] =>
      numbers.flatMap((values) => Array.from(values.subarray(values.length / 2))); // rows 2, 3 of 4
    const fresh = tinyOptions().adapted.parameters();
    for (const { numbers } of await trainOnAll(2, options)) {
      expect(rowsPast(numbers)).toEqual(rowsPast(fresh.map(({ view }) => hostData(view) as Float32Array)));
      expect(numbers).not.toEqual(fresh.map(({ view }) => hostData(view)));
    }
  });

  it('give each row the mean over the tokens of the workers that trained it', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom(1, 2, 4), { minLength: 2, maxLength: 4 }),
        fc.record({
          rankSchedule: anySchedule,
          accumulate: fc.integer({ min: 1, max: 5 }),
          step: fc.nat(7),
        }),
        anySum,
        async (maxRanks, setting, gradientSum) => {
          const all = await Promise.all(
            localWorld(maxRanks.length).map((world) =>
              gradientsOfStep(world, setting, { maxRanks, gradientSum }),
            ),
          );
          for (const gradients of all) expect(gradients).toEqual(all[0]);
          // each pass alone, at the rank of its worker
          let drawn: readonly Pass[] = [];
          let limited: readonly Pass[] = [];
          const limit = (passes: readonly Pass[]): readonly Pass[] => {
            drawn = passes;
            return (limited = limitRanks(passes, termsOf(passes), maxRanks));
          };
          await gradientsOfStep(oneProcess(), setting, { choose: limit });
          const terms = await Promise.all(
            limited.map((_, i) =>
              gradientsOfStep(oneProcess(), setting, { choose: (passes) => [limit(passes)[i]] }),
            ),
          );
          const sumOf = (passes: readonly Pass[], row: number): number =>
            passes.reduce((sum, pass) => sum + tokensFrom(pass, row + 1), 0);
          all[0].values.forEach((values, parameter) => {
            values.forEach((value, i) => {
              const row = Math.floor(i / all[0].columns[parameter]);
              const sum = terms.reduce((total, term) => total + term.values[parameter][i], 0);
              const size = terms.reduce((total, term) => total + Math.abs(term.values[parameter][i]), 0);
              const trained = sumOf(limited, row);
              const factor = trained > 0 ? sumOf(drawn, row) / trained : 0;
              const bound = (2 * terms.length + 2) * 2 ** -24 * size * factor;
              expect(Math.abs(value - factor * sum), `row ${row}`).toBeLessThanOrEqual(bound);
            });
          });
        },
      ),
      { numRuns: 20 },
    );
  });

  it('let a small worker keep sums of its own rows alone', async () => {
    // eight terms: each worker keeps two sums of its four aside
    const setting = { rankSchedule: 'one', accumulate: 8, step: 0 } as const;
    const atLargestRank = (passes: readonly Pass[]): Pass[] =>
      passes.map((pass) => ({ ...pass, view: { ...pass.view, active: { rank: MAX_RANK, trainFrom: 0 } } }));
    const bytesOf = async (maxRanks: WorkerRanks): Promise<number[]> => {
      const bytes: number[] = [];
      await Promise.all(
        localWorld(2).map((world) =>
          gradientsOfStep(world, setting, {
            maxRanks,
            choose: atLargestRank,
            noteBytes: (added) => (bytes[world.rank] = added),
          }),
        ),
      );
      return bytes;
    };
    const { values } = await gradientsOfStep(oneProcess(), setting);
    const gradientBytes = 4 * values.reduce((sum, { length }) => sum + length, 0);
    const [first, whole] = await bytesOf([MAX_RANK, MAX_RANK]);
    const [large, small] = await bytesOf([MAX_RANK, 1]);
    expect(large).toBe(first);
    // and activations of rank 1 in place of rank 4, which are small
    expect(whole - small).toBeGreaterThanOrEqual(2 * (1 - 1 / MAX_RANK) * gradientBytes);
  });

  it('are refused where they are not one for each worker, or not a rank', async () => {
    const messageOf = async (maxRanks: WorkerRanks): Promise<string> => {
      const [world] = localWorld(2);
      return (await failureOfRun({ maxRanks, workers: world })).message;
    };
    expect(await messageOf([4])).toMatch(/one rank for each worker \(got 1 for 2\)/);
    expect(await messageOf([4, 5])).toMatch(/a whole number from 1 to 4 \(got 5\)/);
  });
});

async function failureOfRun(options: Parameters<typeof tinyOptions>[0]): Promise<Error> {
  try {
    return await failureOf(train(tinyOptions(options)));
  } catch (error) {
    return error as Error;
  }
}
