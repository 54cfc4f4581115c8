import { appendFileSync, closeSync, fstatSync, openSync, utimesSync, writeFileSync } from 'node:fs';
import fc from 'fast-check';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { describe, expect, it } from 'vitest';
import {
  createBatches,
  loadDataset,
  openDataset,
  type BatchOptions,
  type Example,
  type OpenDatasetOptions,
  type StreamedDataset,
} from '../src/index.ts';
import { ENTRIES_PER_MARK } from '../src/stream/row-index.ts';
import { fixtureTokenizer } from './fixtures.ts';
import { jsonl, temporaryFiles } from './temporary-files.ts';

const files = temporaryFiles();
const batching: BatchOptions = {
  microBatchSize: 3,
  gradientAccumulationSteps: 2,
  shuffle: true,
  seed: 7,
  packing: false,
  maxSeqLength: 16,
};

/** Rows of 1…24 ids, some of which leave nothing to predict. */
const someRows = fc.array(fc.record({ input_ids: fc.array(fc.nat(99), { minLength: 1, maxLength: 24 }) }), {
  minLength: 3,
  maxLength: 60,
});
const options: Partial<OpenDatasetOptions> = { maxSeqLength: 16, seed: 3 };
const examplesOf = ({ training }: StreamedDataset): (Example | null)[] =>
  Array.from({ length: training.length }, (_, i) => training.at(i));
const stepsOf = (batches: ReturnType<typeof createBatches>, epochs = 2): unknown[] =>
  Array.from({ length: batches.stepsPerEpoch * epochs }, (_, step) => batches.batchAt(step));

describe('a streamed dataset', () => {
  it('has the examples of the loaded one in its order, as JSON lines and as a JSON list', async () => {
    await fc.assert(
      fc.asyncProperty(
        someRows,
        fc.boolean(),
        fc.constantFrom(0, 1, 0.3),
        fc.constantFrom('\n', '\r\n', '\n\n'),
        fc.option(fc.integer({ min: 1, max: 12 }), { nil: undefined }),
        async (rows, isList, heldOut, end, limit) => {
          const content = isList
            ? JSON.stringify(rows, null, 1)
            : rows.map((row) => JSON.stringify(row)).join(end);
          const file = files.write(isList ? 'list.json' : 'lines.jsonl', content);
          const datasetOptions = { ...options, tokenizer: null, heldOut, limit };
          const loaded = await loadDataset(file, datasetOptions).catch((error: Error) => error);
          const opened = await openDataset(file, { ...datasetOptions, measure: true }).catch(
            (error: Error) => error,
          );
          if (loaded instanceof Error || opened instanceof Error) {
            expect(String(opened)).toBe(String(loaded));
            return;
          }
          using dataset = opened;
          expect(examplesOf(dataset)).toEqual(loaded.training);
          expect(dataset.heldOut).toEqual(loaded.heldOut);
          expect(dataset.report).toEqual(loaded.report);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('of several files ends at the limit of the loaded one, whose short rows count too', async () => {
    const names = ['a.jsonl', 'b.jsonl', 'c.jsonl'].map((name) =>
      files.write(name, jsonl({ input_ids: [1] }, { input_ids: [2, 3] }, { input_ids: [4, 5] })),
    );
    for (let limit = 2; limit <= 9; limit++) {
      const loaded = await loadDataset(names, { tokenizer: null, limit });
      using opened = await openDataset(names, { tokenizer: null, limit, measure: true });
      expect(examplesOf(opened)).toEqual(loaded.training);
      expect(opened.report).toEqual(loaded.report);
    }
  });

  it('that is not measured ends at its limit in the second file', async () => {
    const rows = files.write(
      'many.jsonl',
      jsonl(...Array.from({ length: 1500 }, (_, i) => ({ text: `row ${i}` }))),
    );
    const text = files.write('rows.txt', 'so many words '.repeat(8000));
    const tokenizer = fixtureTokenizer('tiny-llama2-style');
    using opened = await openDataset([rows, text], { tokenizer, maxSeqLength: 8, limit: 2000 });
    expect(opened.training.length).toBe(2000);
  });

  it('can be closed twice, although another file may have its number then', async () => {
    const file = files.write(
      'rows.parquet',
      new Uint8Array(parquetWriteBuffer({ columnData: [{ name: 'text', data: ['a b c'], type: 'STRING' }] })),
    );
    const opened = await openDataset(file, { tokenizer: fixtureTokenizer('tiny-llama2-style') });
    opened.close();
    const other = openSync(file, 'r');
    opened.close();
    expect(fstatSync(other).isFile()).toBe(true);
    closeSync(other);
  });

  it('has the batches of the loaded one, bit for bit: shuffled, packed or grouped by length', async () => {
    await fc.assert(
      fc.asyncProperty(
        someRows,
        fc.constantFrom({}, { packing: true }, { groupByLength: true }, { shuffle: false }),
        async (rows, change) => {
          fc.pre(rows.some(({ input_ids: ids }) => ids.length > 1));
          const file = files.write('rows.jsonl', jsonl(...rows));
          const datasetOptions = { ...options, tokenizer: null };
          const { training } = await loadDataset(file, datasetOptions);
          using dataset = await openDataset(file, { ...datasetOptions, measure: true });
          expect(stepsOf(createBatches(dataset.training, { ...batching, ...change }))).toEqual(
            stepsOf(createBatches(training, { ...batching, ...change })),
          );
        },
      ),
      { numRuns: 60 },
    );
  });

  it('finds any row of a file of several thousand, in any order', async () => {
    const rows = Array.from({ length: 3 * ENTRIES_PER_MARK + 17 }, (_, i) => ({
      input_ids: [i % 1000, Math.floor(i / 1000)],
      pad: 'é'.repeat(i % 7),
    }));
    using dataset = await openDataset(files.write('many.jsonl', jsonl(...rows)), { tokenizer: null });
    const numberOf = (example: Example | null): number => example!.ids[0] + 1000 * example!.ids[1];
    expect(dataset.training.length).toBe(rows.length);
    fc.assert(
      fc.property(fc.integer({ min: 0, max: rows.length - 1 }), (i) => {
        const example = dataset.training.at(i);
        expect([numberOf(example), example!.source!.line]).toEqual([i, i + 1]);
      }),
      { numRuns: 300 },
    );
    expect(Array.from({ length: rows.length }, (_, i) => numberOf(dataset.training.at(i)))).toEqual(
      rows.map((_, i) => i),
    );
  });

  it('that was not measured holds out as many rows with something to predict, and the same', async () => {
    const hollow = [-100, -100, -100];
    const rows = Array.from({ length: 6000 }, (_, i) => ({
      input_ids: [i % 97, i % 89, 7],
      ...(i % 3 === 0 && { labels: hollow }),
    }));
    const file = files.write('hollow-thirds.jsonl', jsonl(...rows));
    for (const change of [
      { heldOut: 10 },
      { heldOut: 700, seed: 5 },
      { heldOut: 0.2 },
      { heldOut: 10, limit: 900 },
    ]) {
      const loaded = await loadDataset(file, { tokenizer: null, ...change });
      using opened = await openDataset(file, { tokenizer: null, ...change });
      expect(opened.heldOut).toEqual(loaded.heldOut);
      expect(examplesOf(opened).filter((example) => example !== null)).toEqual(loaded.training);
      if (change.limit) expect(opened.report).toEqual(loaded.report);
    }
  });

  it('that was not measured leaves out a row with nothing to predict when it is read', async () => {
    const measured = Array.from({ length: 1000 }, () => ({ input_ids: [1, 2] }));
    using dataset = await openDataset(
      files.write(
        'few.jsonl',
        jsonl(
          { input_ids: [8] }, // among the first thousand: left out at once
          ...measured,
          { input_ids: [3] },
          { input_ids: [4, 5, 6, 7], labels: [-100, 5, 6, 7] },
        ),
      ),
      { tokenizer: null, maxSeqLength: 3 },
    );
    expect([dataset.training.length, dataset.report.rows, dataset.report.dropped]).toEqual([1002, 1003, 1]);
    const batches = createBatches(dataset.training, {
      ...batching,
      microBatchSize: 1002,
      gradientAccumulationSteps: 1,
      shuffle: false,
    });
    expect(batches.batchAt(0).map(({ segments }) => segments.length - 1)).toEqual([1001]);
    expect(dataset.readSoFar()).toMatchObject({
      rows: 1002,
      truncated: 1,
      truncatedAnswers: 1,
      lostTokens: 1,
      dropped: 1,
    });
  });

  it('measures the first thousand rows for its report, and says how many', async () => {
    using dataset = await openDataset(
      files.write('long.jsonl', jsonl(...Array.from({ length: 2500 }, () => ({ input_ids: [1, 2, 3, 4] })))),
      { tokenizer: null, maxSeqLength: 3 },
    );
    expect(dataset.report).toMatchObject({
      rows: 2500,
      measuredRows: 1000,
      truncated: 1000,
      lostTokens: 1000,
      tokens: 3000,
    });
  });

  it(
    'is refused where neither the first rows nor any of those from all over leave something to predict, ' +
      'and not where later ones do',
    async () => {
      const empty = Array.from({ length: 1500 }, () => ({
        input_ids: [1, 2, 3],
        labels: [-100, -100, -100],
      }));
      const good = Array.from({ length: 300 }, () => ({ input_ids: [1, 2, 3] }));
      await expect(
        openDataset(files.write('hollow.jsonl', jsonl(...empty)), { tokenizer: null }),
      ).rejects.toMatchObject({
        code: 'BAD_DATA',
        message: expect.stringMatching(
          /of 1500 rows all that were looked at were dropped: 1000 × every label is masked/,
        ) as string,
      });
      using dataset = await openDataset(files.write('late.jsonl', jsonl(...empty, ...good)), {
        tokenizer: null,
      });
      expect(examplesOf(dataset).filter((example) => example !== null)).toHaveLength(300);
    },
  );

  it('needs to be measured for packing and for groups of like length', async () => {
    using dataset = await openDataset(files.write('one.jsonl', jsonl({ input_ids: [1, 2] })), {
      tokenizer: null,
    });
    for (const change of [{ packing: true }, { groupByLength: true }])
      expect(() => createBatches(dataset.training, { ...batching, ...change })).toThrow(
        /lengths of the examples must be known.*measure: true, or give your own source a lengthAt/,
      );
  });

  it('takes text files beside rows', async () => {
    const tokenizer = fixtureTokenizer('tiny-llama2-style');
    const names = [
      files.write('a.jsonl', jsonl({ text: 'the king' }, { text: 'the sea' })),
      files.write('b.txt', 'so the young king went on to the sea, and there he lay. '.repeat(4)),
    ];
    const options = { tokenizer, maxSeqLength: 16, heldOut: 0.3, seed: 2 };
    const loaded = await loadDataset(names, options);
    using dataset = await openDataset(names, options);
    expect(examplesOf(dataset)).toEqual(loaded.training);
    expect(dataset.heldOut).toEqual(loaded.heldOut);
  });

  it.each([
    [
      'grows',
      (file: string) => appendFileSync(file, jsonl({ input_ids: [5, 6] })),
      /The file had \d+ bytes when the run began and has \d+ now\./,
    ],
    [
      'is written anew, with as many bytes',
      (file: string) => writeFileSync(file, jsonl({ input_ids: [7, 2] }, { input_ids: [3, 4] })),
      /The file was written to after the run began, at 20/,
    ],
  ])('stops where its file %s under it', async (_, change, says) => {
    const file = files.write('changing.jsonl', jsonl({ input_ids: [1, 2] }, { input_ids: [3, 4] }));
    utimesSync(file, 1e9, 1e9); // else a clock that has not ticked would hide the change
    using dataset = await openDataset(file, { tokenizer: null });
    expect(dataset.training.at(0)?.ids).toEqual(Int32Array.of(1, 2));
    change(file);
    expect(() => dataset.training.at(0)).toThrow(says);
  });

  it('refuses what a loaded one refuses when it is opened: malformed rows, no rows, no file', async () => {
    const file = files.write(
      'bad.jsonl',
      `${jsonl(...Array.from({ length: 2000 }, () => ({ input_ids: [1, 2] })))}{"input_ids": [1, }\n`,
    );
    await expect(openDataset(file, { tokenizer: null })).rejects.toMatchObject({
      code: 'BAD_DATA',
      where: `${file}:2001`,
    });
    await expect(openDataset(files.write('empty.jsonl', '\n\n'), { tokenizer: null })).rejects.toThrow(
      /it is an empty file/,
    );
    await expect(openDataset(`${files.folder}/none.jsonl`, { tokenizer: null })).rejects.toMatchObject({
      code: 'MISSING_FILE',
    });
    await expect(
      openDataset(file, { tokenizer: null, signal: AbortSignal.abort('enough') }),
    ).rejects.toMatchObject({ code: 'ABORTED' });
  });
});
