import { existsSync, mkdirSync, readdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  createBatches,
  loadDataset,
  openDataset,
  sourceOf,
  type Example,
  type ExampleSource,
} from '../src/index.ts';
import { fixtureTokenizer } from './fixtures.ts';
import { jsonl, temporaryFiles } from './temporary-files.ts';

const files = temporaryFiles();
let count = 0;

/**
 * One file for each number, of so many rows; a row tells its name in the list and its number among the rows
 * of that name.
 */
function writeName(name: number, sizes: readonly number[]): string {
  const folder = `mix-${count++}`;
  mkdirSync(`${files.folder}/${folder}`);
  let row = 0;
  for (const [i, size] of sizes.entries())
    files.write(
      `${folder}/${String(i).padStart(4, '0')}.jsonl`,
      jsonl(...Array.from({ length: size }, () => ({ input_ids: [name, row++] }))),
    );
  return `${files.folder}/${folder}/*.jsonl`;
}

const names = fc
  .array(
    fc.record({
      sizes: fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 8 }),
      weight: fc.oneof(fc.constantFrom(0, 0.5, 1, 1.5, 2), fc.double({ min: 0.1, max: 3, noNaN: true })),
    }),
    { minLength: 1, maxLength: 4 },
  )
  .filter(
    (all) =>
      all.some(({ weight }) => weight > 0) &&
      all.every(
        ({ sizes, weight }) => weight === 0 || Math.round(weight * sizes.reduce((a, b) => a + b)) > 0,
      ),
  );

const keyOf = ({ ids }: Example): string => `${ids[0]}:${ids[1]}`;
const examplesOf = (source: ExampleSource): Example[] =>
  Array.from({ length: source.length }, (_, i) => source.at(i)!);
const tally = (keys: readonly string[]): Map<string, number> =>
  keys.reduce((seen, key) => seen.set(key, (seen.get(key) ?? 0) + 1), new Map<string, number>());

describe('a mixture', () => {
  it(
    'has every name as often as its weight says, however its rows are cut into files, and each of its ' +
      'rows as often as any other, or once more',
    async () => {
      await fc.assert(
        fc.asyncProperty(names, fc.nat(99), async (all, seed) => {
          const list = all.map(({ sizes }, name) => writeName(name, sizes));
          const options = { tokenizer: null, seed, weights: all.map(({ weight }) => weight) };
          const { training } = await loadDataset(list, options);
          using opened = await openDataset(list, options);
          expect(examplesOf(opened.training)).toEqual(training);
          const seen = tally(training.map(keyOf));
          for (const [name, { sizes, weight }] of all.entries()) {
            const rows = sizes.reduce((a, b) => a + b);
            const times = Array.from({ length: rows }, (_, row) => seen.get(`${name}:${row}`) ?? 0);
            expect(times.reduce((a, b) => a + b)).toBe(Math.round(weight * rows));
            expect(Math.max(...times) - Math.min(...times)).toBeLessThanOrEqual(1);
          }
        }),
        { numRuns: 40 },
      );
    },
  );

  it('comes whole in every epoch of any batches, so the same mixture trains a resumed run', async () => {
    await fc.assert(
      fc.asyncProperty(
        names,
        fc.integer({ min: 1, max: 5 }),
        fc.nat(99),
        async (all, microBatchSize, seed) => {
          const { training } = await loadDataset(
            all.map(({ sizes }, name) => writeName(name, sizes)),
            { tokenizer: null, weights: all.map(({ weight }) => weight) },
          );
          const batches = createBatches(training, {
            microBatchSize,
            gradientAccumulationSteps: 2,
            shuffle: true,
            seed,
            packing: false,
            maxSeqLength: 16,
          });
          const whole = tally(training.map(keyOf));
          for (const epoch of [0, 1, 5]) {
            const steps = Array.from({ length: batches.stepsPerEpoch }, (_, i) =>
              batches.batchAt(epoch * batches.stepsPerEpoch + i),
            ).flat();
            expect(
              tally(
                steps.flatMap(({ ids, segments }) =>
                  Array.from(segments.subarray(0, -1), (at) => `${ids[at]}:${ids[at + 1]}`),
                ),
              ),
            ).toEqual(whole);
          }
        },
      ),
      { numRuns: 25 },
    );
  });

  it(
    'is spread over an epoch as a random order spreads it: the first half has of each name what the ' +
      'hypergeometric law gives',
    async () => {
      const { training } = await loadDataset([writeName(0, [60]), writeName(1, [200])], {
        tokenizer: null,
        weights: [2, 0.5],
      });
      const [total, ofFirst, half] = [220, 120, 110];
      const deviation = Math.sqrt(
        half * (ofFirst / total) * (1 - ofFirst / total) * ((total - half) / (total - 1)),
      );
      const trials = 400;
      const scores = Array.from({ length: trials }, (_, seed) => {
        const batches = createBatches(training, {
          microBatchSize: half,
          gradientAccumulationSteps: 1,
          shuffle: true,
          seed,
          packing: false,
          maxSeqLength: 16,
        });
        const { ids, segments } = batches.batchAt(0)[0];
        return (
          (Array.from(segments.subarray(0, -1)).filter((at) => ids[at] === 0).length -
            (half * ofFirst) / total) /
          deviation
        );
      });
      const mean = scores.reduce((a, b) => a + b) / trials;
      const variance = scores.reduce((sum, z) => sum + z * z, 0) / trials;
      expect(Math.abs(mean)).toBeLessThan(4 / Math.sqrt(trials)); // 4 standard errors, of fixed seeds
      expect(Math.abs(variance - 1)).toBeLessThan(4 * Math.sqrt(2 / trials));
    },
  );

  it('has nothing of a name of weight 0, trained on or held out: it is that of the other names', async () => {
    const [a, b, c] = [writeName(0, [9]), writeName(1, [9, 9]), writeName(2, [9])];
    const options = { tokenizer: null, heldOut: 6, seed: 3 };
    const without = await loadDataset([a, c], options);
    const withZero = await loadDataset([a, b, c], { ...options, weights: [1, 0, 1] });
    using opened = await openDataset([a, b, c], { ...options, weights: [1, 0, 1] });
    expect([withZero.training, withZero.heldOut, withZero.report]).toEqual([
      without.training,
      without.heldOut,
      without.report,
    ]);
    expect([examplesOf(opened.training), opened.heldOut]).toEqual([without.training, without.heldOut]);
  });

  it('of weights that bring nothing of a name, or more rows than there is room for, is refused', async () => {
    const list = [writeName(0, [10]), writeName(1, [1])];
    for (const [weights, says] of [
      [[0.04, 1], /The weight 0.04 is too small to bring one of the 10 rows.*with 0/],
      [[1e300, 1], /1e\+300 times 10 rows has more than 2\^48 rows/],
    ] as const) {
      for (const read of [loadDataset, openDataset])
        await expect(read(list, { tokenizer: null, weights })).rejects.toMatchObject({
          code: 'BAD_CONFIG',
          where: 'dataset_weights',
          message: expect.stringMatching(says) as string,
        });
    }
    await expect(loadDataset(list, { tokenizer: null, weights: [1e9, 1] })).rejects.toMatchObject({
      code: 'BAD_CONFIG',
      message: expect.stringMatching(
        /has 10000000001 rows, more than the 67108864 that fit in memory.*streaming: true/,
      ) as string,
    });
    using opened = await openDataset(list, { tokenizer: null, weights: [1e9, 1] });
    expect([
      opened.training.length,
      opened.training.at(9_999_999_999)!.ids[0],
      opened.training.at(1e10)!.ids[0],
    ]).toEqual([10_000_000_001, 0, 1]);
  });
});

describe('a file of a mixture', () => {
  const emptyFiles = {
    'empty.jsonl': '',
    'blank.jsonl': '\n \r\n',
    'list.json': '[]',
    'nothing.txt': '\ufeff',
  } as const;
  const tokenizer = fixtureTokenizer('smollm2');

  it.each(Object.entries(emptyFiles))(
    'without a row (%s) is an error that names it, or is skipped and counted where bad rows are skipped',
    async (name, content) => {
      const full = files.write('full.jsonl', jsonl({ input_ids: [1, 2] }));
      const empty = files.write(name, content);
      for (const read of [loadDataset, openDataset])
        await expect(read([full, empty], { tokenizer })).rejects.toMatchObject({
          code: 'BAD_DATA',
          where: empty,
          message: expect.stringMatching(
            name.endsWith('.json') ? /it is an empty JSON list/ : /an empty file|The file is empty/,
          ) as string,
        });
      const { training, report } = await loadDataset([full, empty], { tokenizer, onBadRow: 'skip' });
      using opened = await openDataset([empty, full], { tokenizer, onBadRow: 'skip' });
      expect([training, examplesOf(opened.training)]).toEqual([
        [expect.objectContaining({ ids: Int32Array.of(1, 2) })],
        training,
      ]);
      for (const { emptyFiles: count, skipped, notes } of [report, opened.report])
        expect([count, skipped, notes]).toEqual([1, 0, [`1 file has no rows and was skipped: ${empty}`]]);
      for (const read of [loadDataset, openDataset])
        await expect(read(empty, { tokenizer, onBadRow: 'skip' })).rejects.toMatchObject({
          code: 'BAD_DATA',
          where: empty,
          message: expect.stringMatching(/there are no rows/) as string,
        });
    },
  );

  it('that is named twice (by name, pattern or link) comes twice, and the report says so', async () => {
    const pattern = writeName(0, [2, 3]);
    const folder = pattern.slice(0, pattern.lastIndexOf('/'));
    const first = `${folder}/0000.jsonl`;
    symlinkSync(first, `${folder}/link`);
    for (const [list, times] of [
      [[first, first], 2],
      [[pattern, first], 2],
      [[`${folder}/link`, pattern, first], 3],
    ] as const) {
      const { training, report } = await loadDataset(list, { tokenizer: null });
      using opened = await openDataset(list, { tokenizer: null });
      expect(training.filter(({ ids }) => ids[1] === 0)).toHaveLength(times);
      for (const { notes } of [report, opened.report])
        expect(notes).toEqual([
          expect.stringMatching(
            new RegExp(
              `These files are listed more than once.*: .*/(0000.jsonl|link) \\(${times} times\\)\\. ` +
                `List each file once, and set dataset_weights`,
            ),
          ),
        ]);
    }
    expect((await loadDataset([first, pattern], { tokenizer: null, weights: [0, 1] })).report.notes).toEqual(
      [],
    ); // nobody reads what has no weight
  });
});

describe('many streamed files', () => {
  const openFiles = (): number => readdirSync('/proc/self/fd').length;

  it('are not all open at once, and each row is read where it was', async ({ skip }) => {
    skip(!existsSync('/proc/self/fd'), 'only Linux tells what is open');
    const pattern = writeName(
      0,
      Array.from({ length: 300 }, () => 2),
    );
    const before = openFiles();
    using dataset = await openDataset(pattern, { tokenizer: null, heldOut: 50 });
    sourceOf(dataset.training);
    const rows = [...dataset.heldOut, ...examplesOf(dataset.training)].map(({ ids, source }) => [
      ids[1],
      Number(/(\d+)\.jsonl/.exec(source!.file)![1]),
      source!.line,
    ]);
    expect(openFiles() - before).toBeLessThan(100);
    expect(rows.sort(([a], [b]) => a! - b!)).toEqual(
      Array.from({ length: 600 }, (_, row) => [row, row >> 1, 1 + (row % 2)]),
    );
  });

  it('end the run where one of them is another file by now', async () => {
    const pattern = writeName(
      0,
      Array.from({ length: 80 }, () => 1),
    );
    const folder = pattern.slice(0, pattern.lastIndexOf('/'));
    using dataset = await openDataset(pattern, { tokenizer: null });
    writeFileSync(`${folder}/other`, jsonl({ input_ids: [0, 0] }));
    renameSync(`${folder}/other`, `${folder}/0079.jsonl`);
    expect(dataset.training.at(0)!.ids[1]).toBe(0);
    for (let attempt = 0; attempt < 2; attempt++)
      expect(() => dataset.training.at(79)).toThrow(/Another file has taken this name since the run began/);
  });
});

describe('names that are no files', () => {
  const file = files.write('plain.jsonl', jsonl({ input_ids: [1, 2] }));

  it.each([
    [`${file}/`],
    [`${file}/below.jsonl`],
    [`${file}/*`],
    [`${file}/**/*.jsonl`],
    [`${files.folder}/${'long'.repeat(100)}.jsonl`],
  ])('below a file, or too long, are as much missing as others', async (name) => {
    for (const read of [loadDataset, openDataset])
      await expect(read(name, { tokenizer: null })).rejects.toMatchObject({
        code: 'MISSING_FILE',
        where: name,
      });
  });

  it.each([['{plain,other}.jsonl'], ['[op]lain.jsonl'], ['[op]*.jsonl']])(
    'with brackets or braces (%s) are patterns',
    async (name) => {
      const { report } = await loadDataset(`${files.folder}/${name}`, { tokenizer: null });
      expect(report.rows).toBe(1);
      await expect(loadDataset(`${files.folder}/no-${name}`, { tokenizer: null })).rejects.toMatchObject({
        code: 'MISSING_FILE',
        message: expect.stringMatching(/No file matches this pattern/) as string,
      });
    },
  );
});
