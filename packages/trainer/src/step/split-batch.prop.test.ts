import { collate } from '@qdylora/data';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { tinyExamples } from '../../test/tiny-model.ts';
import { splitBatch } from './split-batch.ts';

describe('splitBatch', () => {
  it('makes the same batches as collating the examples part by part', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 1, max: 9 }),
        fc.nat(1000),
        (count, partCount, seed) => {
          const examples = tinyExamples(count, seed);
          const parts = Math.min(partCount, count);
          const cut = (part: number): number => Math.floor((part * count) / parts);
          expect(splitBatch(collate(examples), parts)).toEqual(
            Array.from({ length: parts }, (_, part) => collate(examples.slice(cut(part), cut(part + 1)))),
          );
        },
      ),
    );
  });

  it('refuses more parts than examples', () => {
    expect(() => splitBatch(collate(tinyExamples(1)))).toThrow(
      /A batch of 1 segments cannot be split into 2 parts/,
    );
  });
});
