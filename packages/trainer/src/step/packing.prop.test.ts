import { hostData } from '@qdylora/contract';
import { createBatches, type Batches, type Example } from '@qdylora/data';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { tinyAdapted, tinyExamples, VOCABULARY } from '../../test/tiny-model.ts';
import { adamw, trainStep } from '../index.ts';

/** One step over all examples, with its loss and the gradients that it leaves. */
async function stepOver(
  batches: Batches,
): Promise<{ loss: number; predictedTokens: number; gradients: Float32Array[] }> {
  const adapted = tinyAdapted();
  expect(batches.stepsPerEpoch).toBe(1);
  const { loss, predictedTokens } = await trainStep(
    adapted.atRank(4),
    batches.batchAt(0),
    adamw(adapted.parameters(), { learningRate: 0 }),
    { maxGradNorm: null },
  );
  return {
    loss,
    predictedTokens,
    gradients: adapted.parameters().map(({ gradient }) => Float32Array.from(hostData(gradient!))),
  };
}

const batchesOf = (
  examples: readonly Example[],
  change: { packing?: boolean; groupByLength?: boolean; shuffle?: boolean; microBatchSize?: number },
): Batches =>
  createBatches(examples, {
    microBatchSize: 2,
    gradientAccumulationSteps: examples.length,
    shuffle: true,
    seed: 5,
    packing: false,
    maxSeqLength: 24,
    ...change,
  });

describe('packed examples', () => {
  it(
    'have the loss and the gradients of the same examples unpacked, grouped by length, or one by one, up ' +
      'to the order of sums',
    async () => {
      await fc.assert(
        fc.asyncProperty(fc.integer({ min: 2, max: 9 }), fc.nat(1000), async (count, seed) => {
          const examples = tinyExamples(count, seed);
          const plain = await stepOver(batchesOf(examples, { shuffle: false, microBatchSize: 1 }));
          for (const change of [
            { packing: true },
            { packing: true, microBatchSize: 1 },
            { groupByLength: true },
            { microBatchSize: 4 },
          ]) {
            const other = await stepOver(batchesOf(examples, change));
            expect(other.predictedTokens).toBe(plain.predictedTokens);
            // each example's bits do not depend on its neighbours; sums over at most `count` of them are
            // rounded to float32 in another order
            expect(Math.abs(other.loss - plain.loss)).toBeLessThanOrEqual(2 * count * 2 ** -24 * plain.loss);
            other.gradients.forEach((gradient, p) => {
              const scale = plain.gradients[p].reduce((most, value) => Math.max(most, Math.abs(value)), 0);
              gradient.forEach((value, i) => {
                expect(Math.abs(value - plain.gradients[p][i])).toBeLessThanOrEqual(
                  64 * count * 2 ** -24 * scale,
                );
              });
            });
          }
        }),
        { numRuns: 12 },
      );
    },
  );

  it(
    'weigh every counted token the same: a step of one long and many short answers has the mean over ' +
      'tokens, not the mean of means',
    async () => {
      const example = (length: number, id: number): Example => ({
        ids: Int32Array.from({ length }, (_, t) => (id + t) % VOCABULARY),
        labels: Int32Array.from({ length }, (_, t) => (t === 0 ? -100 : (id + t) % VOCABULARY)),
      });
      const examples = [example(20, 3), example(2, 7), example(2, 1)];
      const whole = await stepOver(batchesOf(examples, { shuffle: false, microBatchSize: 1 }));
      const alone = await Promise.all(
        examples.map((each) => stepOver(batchesOf([each], { microBatchSize: 1 }))),
      );
      const tokens = alone.reduce((sum, { predictedTokens }) => sum + predictedTokens, 0);
      const mean = alone.reduce((sum, { loss, predictedTokens }) => sum + loss * predictedTokens, 0) / tokens;
      const meanOfMeans = alone.reduce((sum, { loss }) => sum + loss, 0) / alone.length;
      expect(Math.abs(whole.loss - mean)).toBeLessThan(1e-6 * mean);
      // the two differ, so this test can tell them apart
      expect(Math.abs(whole.loss - meanOfMeans)).toBeGreaterThan(1e-4);
    },
  );
});
