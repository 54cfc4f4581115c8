import { gatherParts, localWorld } from '@qdylora/collectives';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  createBatches,
  NOT_COUNTED,
  type BatchOptions,
  type Example,
  type ExampleSource,
  type SharedBatches,
  type StepShare,
  type TokenBatch,
} from '../src/index.ts';
import { numberedExamples } from './arbitrary-example.ts';

/** How the examples become steps: packed, grouped by length, or neither. */
const arbitraryOptions: fc.Arbitrary<BatchOptions> = fc
  .record({
    microBatchSize: fc.integer({ min: 1, max: 3 }),
    gradientAccumulationSteps: fc.integer({ min: 1, max: 5 }),
    shuffle: fc.boolean(),
    seed: fc.nat(),
    layout: fc.constantFrom('packing', 'groupByLength', 'neither'),
  })
  .map(({ layout, ...options }) => ({
    ...options,
    packing: layout === 'packing',
    groupByLength: layout === 'groupByLength',
    maxSeqLength: 24,
  }));

/** The range of a worker: neighbours, about equally many. */
const rangeOf = (count: number, worker: number, size: number): ReturnType<StepShare['rangeOf']> => ({
  from: Math.floor((worker * count) / size),
  to: Math.floor(((worker + 1) * count) / size),
});

/** What each of `size` workers gets of a step, and the examples that it reads. */
function shareAmong(
  size: number,
  { step, options, source }: { step: number; options: BatchOptions; source: ExampleSource },
): Promise<{ shared: SharedBatches; reads: number[] }[]> {
  return Promise.all(
    localWorld(size).map(async (world) => {
      const reads: number[] = [];
      const watched: ExampleSource = {
        ...source,
        at(index) {
          reads.push(index);
          return source.at(index);
        },
      };
      const shared = await createBatches(watched, options).shareAt(step, {
        rangeOf: (count) => rangeOf(count, world.rank, size),
        gather: (part) => gatherParts(world, part),
      });
      return { shared, reads };
    }),
  );
}

/** A source in which every `each`-th row turns out to have nothing to predict when it is read. */
const sourceOf = (examples: readonly Example[], each: number): ExampleSource => ({
  length: examples.length,
  at: (index) => (index % each === each - 1 ? null : examples[index]),
  lengthAt: (index) => examples[index].ids.length,
});

const isUnread = ({ ids }: TokenBatch): boolean => ids.every((id) => id === -1);

/** A batch without its contents: what passes are planned from. */
const lengthsOf = ({ ids, targets, segments, predictedTokens }: TokenBatch) => ({
  tokens: ids.length,
  segments,
  predictedTokens,
  ofSegments: Array.from(segments.subarray(1), (end, i) =>
    targets.subarray(segments[i], end).reduce((sum, target) => sum + (target === NOT_COUNTED ? 0 : 1), 0),
  ),
});

const arbitraryStep = fc.record({
  examples: numberedExamples(),
  options: arbitraryOptions,
  size: fc.integer({ min: 1, max: 5 }),
  step: fc.nat(20),
  each: fc.integer({ min: 2, max: 5 }),
});

describe('a step that several workers share', () => {
  it('has the micro batches of one process, in their order, and every worker knows their lengths', () =>
    fc.assert(
      fc.asyncProperty(arbitraryStep, async ({ examples, options, size, step, each }) => {
        const source = sourceOf(examples, each);
        const alone = createBatches(source, options).batchAt(step);
        for (const { shared } of await shareAmong(size, { step, options, source })) {
          expect(shared.batches.map(lengthsOf)).toEqual(alone.map(lengthsOf));
          shared.batches.forEach((batch, i) => {
            if (!isUnread(batch)) expect(batch).toEqual(alone[i]);
            expect(shared.read(i)).toEqual(alone[i]);
          });
        }
      }),
    ));

  it('where all rows count is read once: each row by one worker, each micro batch whole', () =>
    fc.assert(
      fc.asyncProperty(arbitraryStep, async ({ examples, options, size, step }) => {
        const source = sourceOf(examples, Infinity);
        const alone: number[] = [];
        const watched = { ...source, at: (i: number) => (alone.push(i), source.at(i)) };
        const batches = createBatches(watched, options).batchAt(step);
        const outcomes = await shareAmong(size, { step, options, source });
        expect(outcomes.flatMap(({ reads }) => reads)).toEqual(alone);
        outcomes.forEach(({ shared }, worker) => {
          const { from, to } = rangeOf(batches.length, worker, size);
          expect(shared.batches.slice(from, to)).toEqual(batches.slice(from, to));
        });
      }),
    ));
});
