import { someFunction, trueOrFalse, type OptionRules } from '@qdylora/contract';
import {
  checkAsked,
  DATASET_RULES,
  isPlainText,
  resolveReading,
  type DatasetOptions,
} from './dataset-options.ts';
import { datasetReport, nothingLeft, type DatasetReport } from './dataset-report.ts';
import { noRowsYet, type RowCounts } from './keep-example.ts';
import { heldOutRule } from './split-held-out.ts';
import type { DatasetPart } from './stream/dataset-part.ts';
import type { ExampleSource } from './stream/example-source.ts';
import { mixFiles } from './stream/mix-files.ts';
import { rowsPart } from './stream/rows-part.ts';
import { textPart } from './stream/text-part.ts';
import type { Example } from './token-batch.ts';

export interface OpenDatasetOptions extends DatasetOptions {
  /**
   * Makes tokens of every row once now, to know all lengths: packing and grouping by length need them, and
   * the report is then about all rows. False
   */
  readonly measure?: boolean;
  /** Told how many rows have been walked over. */
  readonly onProgress?: (rows: number) => void;
}

const RULES: OptionRules<OpenDatasetOptions> = {
  ...DATASET_RULES,
  measure: trueOrFalse,
  onProgress: someFunction,
};

/** A dataset that stays in its files: a row is read and made tokens of when it is asked for. */
export interface StreamedDataset extends Disposable {
  readonly training: ExampleSource;
  /** In memory: evaluation reads them many times. */
  readonly heldOut: readonly Example[];
  readonly report: DatasetReport;
  /**
   * What became of the training rows read so far, in the same words as the report. Rows that were read twice
   * count twice.
   */
  readSoFar(): RowCounts;
  close(): void;
}

/**
 * Files beyond these are opened anew for each row: a process may have 1,024 of them open, or 256. What is
 * open can be read on even where its name goes.
 */
const MOST_OPEN_FILES = 64;

/** Rows from all over that are looked at where the first ones leave nothing to train on. */
const LOOKED_AT = 256;

function hasExample({ length, at }: ExampleSource): boolean {
  const stride = Math.max(1, length / LOOKED_AT);
  for (let i = 0; i < length; i += stride) if (at(Math.floor(i))) return true;
  return false;
}

/**
 * Opens files of rows without reading them into memory: they are walked over once, which finds malformed rows
 * and decides what is held out, and remembers where every 1,024th row begins and one or two bits of each
 * (with `measure` 4 bytes more). The examples are those of `loadDataset`, in the same order.
 *
 * @throws QdyloraError as `loadDataset` does. Without `measure`, what only tokens show (a template that
 * refuses a row) comes when the row is read.
 * @example
 * using dataset = await openDataset('crawl/*.jsonl', { tokenizer, heldOut: 0.001 });
 * const batches = createBatches(dataset.training, batchOptions);
 */
export async function openDataset(
  names: string | readonly string[],
  options: OpenDatasetOptions,
): Promise<StreamedDataset> {
  checkAsked('open-dataset', names, options, RULES);
  const reading = resolveReading(names, options);
  const { measure = false } = options;
  const rule = heldOutRule(reading.heldOut);
  const parts: DatasetPart[] = [];
  const close = (): void =>
    parts.forEach((part) => {
      part.close();
    });
  try {
    let rows = 0;
    for (const file of reading.files) {
      if (rows >= reading.limit) break;
      const part = isPlainText(file, reading)
        ? textPart(file, reading)
        : await rowsPart(file, reading, {
            measure,
            keepsOpen: parts.length < MOST_OPEN_FILES,
            onProgress: options.onProgress,
          });
      parts.push(part);
      rows = await part.walk(rule, rows);
    }
    if (rows === 0 || (measure && reading.counts.tokens === 0)) throw nothingLeft(reading, reading.counts);
    const heldOutRows = rule.heldOut();
    const heldOut = parts.flatMap((part) => part.take(heldOutRows));
    const readCounts = noRowsYet();
    const training = mixFiles(
      parts.map((part, i) => ({ file: reading.files[i], source: part.training(readCounts) })),
      reading,
    );
    if (reading.counts.tokens === 0 && !hasExample(training))
      throw nothingLeft(reading, reading.counts, { rows });
    return {
      training,
      heldOut,
      report: datasetReport(reading, reading.counts, {
        rows: measure ? undefined : rows,
        fingerprint: rule.fingerprint(),
      }),
      readSoFar: () => readCounts,
      close,
      [Symbol.dispose]: close,
    };
  } catch (error) {
    close();
    throw error;
  }
}
