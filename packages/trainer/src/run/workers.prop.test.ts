import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { localWorld, type Communicator } from '@qdylora/collectives';
import { createBatches, type ExampleSource } from '@qdylora/data';
import { DISTILLATION_STUDENTS, type RankSchedule } from '@qdylora/lora-dynamic';
import { temporaryFolder } from '@qdylora/testing/node';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { tinyExamples } from '../../test/tiny-model.ts';
import { failureOf, tinyOptions } from '../../test/tiny-run.ts';
import { trainOn, trainOnAll } from '../../test/train-on-all.ts';
import { train, type StepEvent } from '../index.ts';

describe('a run on several workers', () => {
  it('has the bits of a run without workers, for any number of them', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 5 }),
        fc.integer({ min: 1, max: 9 }),
        fc.constantFrom<RankSchedule>('one', 'each', 'stratified', 'sandwich', 'all'),
        fc.constantFrom('adamw_32bit', 'sgd'),
        async (size, accumulate, rankSchedule, optimizerName) => {
          const options = { totalSteps: 3, accumulate, rankSchedule, optimizerName };
          const alone = await trainOn(null, options);
          for (const outcome of await trainOnAll(size, options)) expect(outcome).toEqual(alone);
        },
      ),
      { numRuns: 8 },
    );
  });

  it('reads each row on one worker, where rows stay in their file, and has the same bits', async () => {
    const examples = tinyExamples(24);
    const reads: number[] = [];
    const source: ExampleSource = {
      length: examples.length,
      lengthAt: null,
      at(index) {
        reads.push(index);
        return index % 5 === 0 ? null : examples[index]; // rows without a token to predict
      },
    };
    const streamed = () =>
      createBatches(source, {
        microBatchSize: 2,
        gradientAccumulationSteps: 4,
        shuffle: true,
        seed: 2,
        packing: false,
        maxSeqLength: 64,
      });
    const options = { totalSteps: 3, accumulate: 4 };
    const alone = await trainOn(null, { ...options, batches: streamed() });
    const readAlone = reads.splice(0).length;
    const shared = await Promise.all(
      localWorld(2).map((world) => trainOn(world, { ...options, batches: streamed() })),
    );
    for (const outcome of shared) expect(outcome).toEqual(alone);
    // at the border between two workers a micro batch is read by both
    expect(reads.length).toBeLessThanOrEqual(readAlone + 3 * 2 * 2);
  });

  it.each(DISTILLATION_STUDENTS)('keeps teacher and student on one worker: %s', async (student) => {
    const options = { totalSteps: 3, accumulate: 3, distillation: { weight: 0.5, topK: 4, student } };
    const alone = await trainOn(null, options);
    for (const outcome of await trainOnAll(2, options)) expect(outcome).toEqual(alone);
  });

  it('goes on from its checkpoint on any other number of workers', async () => {
    const whole = await trainOn(null, { totalSteps: 6, accumulate: 3 });
    const folder = temporaryFolder();
    const save = { folder };
    await Promise.all(
      localWorld(3).map((workers) => trainOn(workers, { totalSteps: 3, accumulate: 3, save })),
    );
    expect(readdirSync(join(folder, 'checkpoints'))).toEqual(['step-3']);
    const outcomes = await Promise.all(
      localWorld(2).map((workers) =>
        trainOn(workers, { totalSteps: 6, accumulate: 3, save, resume: 'latest' }),
      ),
    );
    for (const { numbers } of outcomes) expect(numbers).toEqual(whole.numbers);
  });

  it.each([0, 1])('ends on all of them after the step in which worker %i is aborted', async (aborted) => {
    const folder = temporaryFolder();
    const runs = localWorld(2).map((workers) => {
      const controller = new AbortController();
      const onStep = ({ step }: StepEvent): void => {
        if (step === 2 && workers.rank === aborted) controller.abort();
      };
      return failureOf(
        train({ ...tinyOptions({ save: { folder } }), workers, onStep, signal: controller.signal }),
      );
    });
    for (const { code, details, message } of await Promise.all(runs)) {
      expect(code).toBe('ABORTED');
      expect(details).toMatchObject({ step: 2, isAgreed: true, worker: aborted });
      expect(message).toContain('The run was aborted after step 2');
    }
    expect(readdirSync(join(folder, 'checkpoints'))).toEqual(['step-2']);
  });

  it.each([0, 1])('ends on all of them where a callback of worker %i ends it', async (stopping) => {
    const runs = localWorld(2).map(async (workers) => {
      const own = tinyOptions();
      const onStep = ({ step }: StepEvent): 'stop' | undefined =>
        step === 2 && workers.rank === stopping ? 'stop' : undefined;
      return (await train({ ...own, workers, onStep }).result).step;
    });
    expect(await Promise.all(runs)).toEqual([2, 2]);
  });

  it('evaluates that last step on all of them together', async () => {
    const runs = localWorld(2).map(async (workers) => {
      const sums: number[] = [];
      const evaluate = {
        every: 4,
        run: async () => {
          const sum = Float64Array.of(1);
          await workers.allReduce(sum, 'sum'); // as an evaluation that they share
          sums.push(sum[0]);
          return { byRank: [{ rank: 1, loss: 1 }] };
        },
      };
      const onStep = ({ step }: StepEvent): 'stop' | undefined =>
        step === 2 && workers.rank === 0 ? 'stop' : undefined;
      const { step, stoppedBy } = await train({ ...tinyOptions(), workers, onStep, evaluate }).result;
      return { step, stoppedBy, sums };
    });
    const expected = { step: 2, stoppedBy: 'callback', sums: [2] };
    expect(await Promise.all(runs)).toEqual([expected, expected]);
  });

  it('saves that last step, also where nothing is evaluated', async () => {
    const folder = temporaryFolder();
    const runs = localWorld(2).map((workers) => {
      const onStep = ({ step }: StepEvent): 'stop' | undefined =>
        step === 3 && workers.rank === 0 ? 'stop' : undefined;
      return train({ ...tinyOptions({ save: { folder, every: 2 } }), workers, onStep }).result;
    });
    await Promise.all(runs);
    expect(readdirSync(join(folder, 'checkpoints')).sort()).toEqual(['step-2', 'step-3']);
  });

  it('sends no rows beyond the largest rank of the step', async () => {
    const sent: number[] = [];
    const worlds = localWorld(2).map((world): Communicator => ({
      ...world,
      allToAll(parts, received) {
        sent.push(parts.length);
        return world.allToAll(parts, received);
      },
    }));
    await Promise.all(worlds.map((world) => trainOn(world, { totalSteps: 8, rankSchedule: 'one' })));
    expect(new Set(sent).size).toBeGreaterThan(1);
  });
});
