import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  createBatches,
  splitIntoMicroBatches,
  type BatchOptions,
  type Example,
  type TokenBatch,
} from '../src/index.ts';
import { arbitraryExample, numberedExamples } from './arbitrary-example.ts';

const options = (packing: fc.Arbitrary<boolean> = fc.boolean()): fc.Arbitrary<BatchOptions> =>
  fc.record({
    microBatchSize: fc.integer({ min: 1, max: 5 }),
    gradientAccumulationSteps: fc.integer({ min: 1, max: 4 }),
    shuffle: fc.boolean(),
    seed: fc.nat(),
    packing,
    maxSeqLength: fc.integer({ min: 12, max: 40 }),
  });

/** First ids, which number the examples, in the order of the batches. */
const numbers = (batches: readonly TokenBatch[]): number[] =>
  batches.flatMap(({ ids, segments }) => Array.from(segments.subarray(0, -1), (at) => ids[at]));
const stepsOf = (stepsPerEpoch: number, epoch: number): number[] =>
  Array.from({ length: stepsPerEpoch }, (_, i) => epoch * stepsPerEpoch + i);
const all = (examples: readonly Example[]): number[] => examples.map((_, i) => i);
const sorted = (list: readonly number[]): number[] => [...list].sort((a, b) => a - b);

describe('createBatches', () => {
  it('visits every example exactly once in each epoch', () => {
    fc.assert(
      fc.property(numberedExamples(), options(), fc.nat(3), (examples, settings, epoch) => {
        const { stepsPerEpoch, batchAt, epochAt } = createBatches(examples, settings);
        const steps = stepsOf(stepsPerEpoch, epoch);
        expect(sorted(steps.flatMap((step) => numbers(batchAt(step))))).toEqual(all(examples));
        expect(steps.map(epochAt)).toEqual(steps.map(() => epoch));
      }),
    );
  });

  it('gives a step the same batches whatever was asked before, also from another instance', () => {
    fc.assert(
      fc.property(
        numberedExamples(),
        options(),
        fc.array(fc.nat(50), { maxLength: 6 }),
        fc.nat(50),
        (examples, settings, earlier, step) => {
          const used = createBatches(examples, settings);
          earlier.forEach(used.batchAt);
          expect(used.batchAt(step)).toEqual(createBatches(examples, settings).batchAt(step));
        },
      ),
    );
  });

  it('fills every step but the last of an epoch, in micro batches that are full but for the last', () => {
    fc.assert(
      fc.property(numberedExamples(), options(fc.constant(false)), (examples, settings) => {
        const { stepsPerEpoch, sequencesPerStep, batchAt } = createBatches(examples, settings);
        expect(sequencesPerStep).toBe(settings.microBatchSize * settings.gradientAccumulationSteps);
        stepsOf(stepsPerEpoch, 0).forEach((step) => {
          const sizes = batchAt(step).map(({ segments }) => segments.length - 1);
          if (step + 1 < stepsPerEpoch)
            expect(sizes).toEqual(
              Array.from({ length: settings.gradientAccumulationSteps }, () => settings.microBatchSize),
            );
          else
            expect(
              sizes.slice(0, -1).every((size) => size === settings.microBatchSize) && sizes.at(-1)! >= 1,
            ).toBe(true);
        });
      }),
    );
  });

  it('loses no token by packing, and a micro batch of one pack has at most maxSeqLength of them', () => {
    fc.assert(
      fc.property(numberedExamples(), options(fc.constant(true)), (examples, settings) => {
        const { stepsPerEpoch, batchAt } = createBatches(examples, { ...settings, microBatchSize: 1 });
        const batches = stepsOf(stepsPerEpoch, 0).flatMap(batchAt);
        for (const { ids } of batches) expect(ids.length).toBeLessThanOrEqual(settings.maxSeqLength);
        const total = (key: 'ids' | 'labels'): number =>
          examples.reduce((sum, example) => sum + example[key].length, 0);
        expect(batches.reduce((sum, { ids }) => sum + ids.length, 0)).toBe(total('ids'));
      }),
    );
  });

  it('keeps the order of the file in every epoch when shuffle is off', () => {
    fc.assert(
      fc.property(numberedExamples(), options(fc.constant(false)), fc.nat(3), (examples, settings, epoch) => {
        const { stepsPerEpoch, batchAt } = createBatches(examples, { ...settings, shuffle: false });
        expect(stepsOf(stepsPerEpoch, epoch).flatMap((step) => numbers(batchAt(step)))).toEqual(
          all(examples),
        );
      }),
    );
  });

  const settings: BatchOptions = {
    microBatchSize: 2,
    gradientAccumulationSteps: 2,
    shuffle: true,
    seed: 7,
    packing: false,
    maxSeqLength: 16,
  };
  const examples: Example[] = Array.from({ length: 24 }, (_, i) => ({
    ids: Int32Array.of(i, 1),
    labels: Int32Array.of(i, 1),
  }));
  const orderOf = (seed: number, epoch: number): number[] => {
    const { stepsPerEpoch, batchAt } = createBatches(examples, { ...settings, seed });
    return stepsOf(stepsPerEpoch, epoch).flatMap((step) => numbers(batchAt(step)));
  };

  it('orders each epoch and each seed differently', () => {
    expect(orderOf(7, 0)).not.toEqual(orderOf(7, 1));
    expect(orderOf(7, 0)).not.toEqual(orderOf(8, 0));
  });

  it('refuses no examples, sizes below one and a step below zero', () => {
    expect(() => createBatches([], settings)).toThrow(expect.objectContaining({ code: 'BAD_DATA' }));
    expect(() => createBatches(examples, { ...settings, microBatchSize: 0 })).toThrow(
      /`microBatchSize` must be a whole number ≥ 1 \(got 0\)/,
    );
    expect(() => createBatches(examples, { ...settings, gradientAccumulationSteps: 1.5 })).toThrow(
      /`gradientAccumulationSteps` must be .*\(got 1\.5\)/,
    );
    expect(() => createBatches(examples, settings).batchAt(-1)).toThrow(/The step must be .*≥ 0 \(got -1/);
  });
});

describe('splitIntoMicroBatches', () => {
  it('keeps the examples in order, microBatchSize to a batch', () => {
    fc.assert(
      fc.property(
        fc.array(arbitraryExample(), { maxLength: 20 }),
        fc.integer({ min: 1, max: 6 }),
        (examples, size) => {
          const batches = splitIntoMicroBatches(examples, size);
          expect(batches.length).toBe(Math.ceil(examples.length / size));
          expect(batches.flatMap(({ ids }) => Array.from(ids))).toEqual(
            examples.flatMap(({ ids }) => Array.from(ids)),
          );
        },
      ),
    );
  });
});
