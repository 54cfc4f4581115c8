import { readWindows, type DatasetFile, type Reading } from '../dataset/dataset-options.ts';
import { keepExample } from '../dataset/keep-example.ts';
import { windowHash } from '../rows/row-hash.ts';
import type { Example } from '../token-batch.ts';
import type { DatasetPart } from './dataset-part.ts';
import { arraySource } from './example-source.ts';

/** A plain-text file, kept in memory: its windows are cut from all its tokens. */
export function textPart(file: DatasetFile, reading: Reading): DatasetPart {
  const { seed, counts, limit, maxSeqLength } = reading;
  const windows = readWindows(file, reading);
  const examples: Example[] = [];
  const isHeldOut = new Set<number>();
  let start = 0;
  return {
    walk(rule, first, taken) {
      start = first;
      for (const window of windows) {
        if (taken.count >= limit) break;
        taken.count++;
        const example = keepExample(window, maxSeqLength, counts);
        if (!example) continue;
        rule.add(first + examples.length, windowHash(window.ids, seed));
        examples.push(example);
      }
      return Promise.resolve(first + examples.length);
    },
    take: (rows) =>
      rows
        .filter((row) => row >= start && row < start + examples.length)
        .map((row) => {
          isHeldOut.add(row - start);
          return examples[row - start];
        }),
    training: () => arraySource(examples.filter((_, i) => !isHeldOut.has(i))),
    close: () => {},
  };
}
