import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { collate, countPredicted, NOT_COUNTED } from '../src/index.ts';
import { arbitraryExample } from './arbitrary-example.ts';

describe('collate', () => {
  it('lays the ids end to end without loss, and says where each example begins', () => {
    fc.assert(
      fc.property(fc.array(arbitraryExample(), { minLength: 1, maxLength: 8 }), (examples) => {
        const { ids, segments } = collate(examples);
        expect(segments.length).toBe(examples.length + 1);
        examples.forEach((example, i) =>
          expect(ids.slice(segments[i], segments[i + 1])).toEqual(example.ids),
        );
        expect(segments.at(-1)).toBe(ids.length);
      }),
    );
  });

  it('gives each token the label of the next one of its segment, and the last none', () => {
    fc.assert(
      fc.property(fc.array(arbitraryExample(), { minLength: 1, maxLength: 8 }), (examples) => {
        const { targets, positions, segments, predictedTokens } = collate(examples);
        examples.forEach(({ labels }, i) => {
          expect(Array.from(targets.subarray(segments[i], segments[i + 1]))).toEqual([
            ...labels.subarray(1),
            NOT_COUNTED,
          ]);
          expect(Array.from(positions.subarray(segments[i], segments[i + 1]))).toEqual(
            Array.from(labels, (_, t) => t),
          );
        });
        expect(predictedTokens).toBe(targets.filter((target) => target !== NOT_COUNTED).length);
        expect(predictedTokens).toBe(examples.reduce((sum, { labels }) => sum + countPredicted(labels), 0));
      }),
    );
  });

  it('refuses no example, an empty one, labels of another length, and more tokens than fit', () => {
    expect(() => collate([])).toThrow(/at least one example/);
    expect(() => collate([{ ids: Int32Array.of(), labels: Int32Array.of() }])).toThrow(
      /as many labels as ids/,
    );
    expect(() => collate([{ ids: Int32Array.of(1, 2), labels: Int32Array.of(1) }])).toThrow(/got 1 and 2/);
    const ids = new Int32Array(2 ** 21);
    expect(() => collate(Array.from({ length: 2 ** 10 }, () => ({ ids, labels: ids })))).toThrow(
      /less than 2³¹ tokens \(got 2147483648\)\. Lower micro_batch_size/,
    );
  });
});
