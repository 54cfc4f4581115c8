import { collate } from '@qdylora/data';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { tinyExamples } from '../test/tiny-model.ts';
import { splitBatch } from './split-batch.ts';

describe('splitBatch', () => {
  it('makes the same two batches as collating the first half and the rest of the examples', () => {
    fc.assert(fc.property(fc.integer({ min: 2, max: 9 }), fc.nat(1000), (count, seed) => {
      const examples = tinyExamples(count, seed), half = count >> 1;
      expect(splitBatch(collate(examples))).toEqual([collate(examples.slice(0, half)), collate(examples.slice(half))]);
    }));
  });

  it('refuses a single example', () => { expect(() => splitBatch(collate(tinyExamples(1)))).toThrow(/at least two segments to split, got 1/); });
});
