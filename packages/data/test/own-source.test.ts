import { describe, expect, it } from 'vitest';
import {
  createBatches,
  firstExample,
  type BatchOptions,
  type Example,
  type ExampleSource,
} from '../src/index.ts';

const options: BatchOptions = {
  microBatchSize: 2,
  gradientAccumulationSteps: 2,
  shuffle: false,
  seed: 1,
  packing: false,
  maxSeqLength: 4,
};
const packed: BatchOptions = { ...options, packing: true };

/** Eight examples of three tokens. */
const source = (changes: Partial<ExampleSource> = {}): ExampleSource => ({
  length: 8,
  at: (): Example => ({ ids: Int32Array.of(1, 2, 3), labels: Int32Array.of(1, 2, 3) }),
  lengthAt: () => 3,
  ...changes,
});

describe('createBatches for a source of your own', () => {
  it('refuses a source whose at returns a promise, and says that examples are read synchronously', () => {
    const asynchronous = source({ at: (async () => source().at(0)) as unknown as ExampleSource['at'] });
    const message = /at\(0\) of the source returned a promise, but examples are read synchronously/;
    expect(() => createBatches(asynchronous, options).batchAt(0)).toThrow(message);
    expect(() => createBatches(asynchronous, packed).batchAt(0)).toThrow(message);
    expect(() => firstExample(asynchronous)).toThrow(message);
  });

  it('refuses packs of examples that are longer or shorter than lengthAt says', () => {
    for (const length of [1, 4])
      expect(() => createBatches(source({ lengthAt: () => length }), packed).batchAt(0)).toThrow(
        `Example 0 has 3 tokens, but lengthAt(0) of its source is ${length}`,
      );
  });

  it('asks for a lengthAt where packing or grouping needs one', () => {
    for (const changed of [packed, { ...options, groupByLength: true }])
      expect(() => createBatches(source({ lengthAt: null }), changed)).toThrow(
        /lengthAt of this source is null.*give your own source a lengthAt/s,
      );
  });

  it('refuses a lengthAt that is no function', () => {
    expect(() => createBatches(source({ lengthAt: 3 as unknown as null }), options)).toThrow(
      /a source with length, at and lengthAt/,
    );
  });

  it('has a step without micro batches where no row of it has a token to predict', () => {
    expect(createBatches(source({ at: () => null }), options).batchAt(0)).toEqual([]);
    expect(createBatches(source({ at: () => null }), packed).batchAt(0)).toEqual([]);
  });
});
