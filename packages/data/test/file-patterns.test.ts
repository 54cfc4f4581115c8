import { mkdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { createBatches, expandGlobs, loadDataset, openDataset, type Example } from '../src/index.ts';
import { jsonl, temporaryFiles } from './temporary-files.ts';

const files = temporaryFiles();
const firsts = (examples: readonly Example[]): number[] => examples.map(({ ids }) => ids[0]);

describe('names with * and ?', () => {
  mkdirSync(`${files.folder}/deep/er`, { recursive: true });
  for (const name of [
    'part-2.jsonl',
    'part-1.jsonl',
    'part-10.jsonl',
    '.hidden.jsonl',
    'deep/part-3.jsonl',
    'deep/er/part-4.jsonl',
  ])
    files.write(name, jsonl({ input_ids: [Number(/\d+/.exec(name)?.[0] ?? 0), 1] }));
  const found = (pattern: string): string[] =>
    expandGlobs([`${files.folder}/${pattern}`])[0].map((path) => path.slice(files.folder.length + 1));

  it('are the files that match, by name; ** goes into folders; hidden ones are left out', () => {
    expect(found('part-*.jsonl')).toEqual(['part-1.jsonl', 'part-10.jsonl', 'part-2.jsonl']);
    expect(found('part-?.jsonl')).toEqual(['part-1.jsonl', 'part-2.jsonl']);
    expect(found('**/part-*.jsonl')).toEqual([
      'deep/er/part-4.jsonl',
      'deep/part-3.jsonl',
      'part-1.jsonl',
      'part-10.jsonl',
      'part-2.jsonl',
    ]);
    expect(found('d*p/*/part-4.jsonl')).toEqual(['deep/er/part-4.jsonl']);
    expect(found('*part-1.jsonl')).toEqual(['part-1.jsonl']);
  });

  it('that match nothing are an error, and a file with such a name is itself', async () => {
    expect(() => found('nothing-*.jsonl')).toThrow(expect.objectContaining({ code: 'MISSING_FILE' }));
    files.write('odd[1]*.jsonl', jsonl({ input_ids: [9, 9] }));
    expect(
      firsts((await loadDataset(`${files.folder}/odd[1]*.jsonl`, { tokenizer: null })).training),
    ).toEqual([9]);
  });

  it('are read one after the other', async () => {
    expect(firsts((await loadDataset(`${files.folder}/part-*.jsonl`, { tokenizer: null })).training)).toEqual(
      [1, 10, 2],
    );
  });
});

describe('weights', () => {
  const names = [
    files.write('a.jsonl', jsonl(...Array.from({ length: 10 }, (_, i) => ({ input_ids: [i, 1] })))),
    files.write('b.jsonl', jsonl(...Array.from({ length: 6 }, (_, i) => ({ input_ids: [100 + i, 1] })))),
  ];
  const epoch = async (weights: number[], seed = 0): Promise<number[]> => {
    const { training } = await loadDataset(names, { tokenizer: null, weights, seed });
    using opened = await openDataset(names, { tokenizer: null, weights, seed });
    const batches = createBatches(opened.training, {
      microBatchSize: 4,
      gradientAccumulationSteps: 1,
      shuffle: true,
      seed,
      packing: false,
      maxSeqLength: 16,
    });
    const ids = Array.from({ length: batches.stepsPerEpoch }, (_, step) => batches.batchAt(step))
      .flat()
      .flatMap((batch) => Array.from(batch.segments.subarray(0, -1), (at) => batch.ids[at]))
      .sort((a, b) => a - b);
    expect(ids).toEqual(firsts(training).sort((a, b) => a - b));
    return ids;
  };

  it('of 2 and 0.5 bring every row twice, and half of the rows, chosen by the seed', async () => {
    const ids = await epoch([2, 0.5], 1);
    const half = ids.filter((id) => id >= 100);
    expect(ids.filter((id) => id < 100)).toEqual(Array.from({ length: 20 }, (_, i) => i >> 1));
    expect([half.length, new Set(half).size]).toEqual([3, 3]);
    expect(
      (await Promise.all([1, 2, 3, 4, 5, 6].map((seed) => epoch([2, 0.5], seed)))).some(
        (other) => String(other) !== String(ids),
      ),
    ).toBe(true);
  });

  it('of 0 leave a file out, and of 1.5 bring half its rows twice', async () => {
    expect((await epoch([0, 1])).length).toBe(6);
    expect((await epoch([1.5, 0])).length).toBe(15);
  });

  it('must be as many as the names, and numbers ≥ 0', async () => {
    for (const weights of [[1], [1, -1], [0, 0], [1, Number.NaN]])
      await expect(loadDataset(names, { tokenizer: null, weights })).rejects.toMatchObject({
        code: 'BAD_CONFIG',
      });
  });
});
