import { trueOrFalse, type OptionRules } from '@qdylora/contract';
import {
  checkDatasetArguments,
  DATASET_RULES,
  isPlainText,
  resolveReading,
  type DatasetOptions,
} from './dataset-options.ts';
import { datasetReport, noRowLeftError, type DatasetReport } from './dataset-report.ts';
import { noRowsYet, type RowCounts } from './keep-example.ts';
import { heldOutRule } from './held-out-rule.ts';
import type { DatasetPart } from '../stream/dataset-part.ts';
import type { ExampleSource } from '../stream/example-source.ts';
import { mixFiles } from '../stream/mix-files.ts';
import { rowsPart } from '../stream/rows-part.ts';
import { textPart } from '../stream/text-part.ts';
import type { Example } from '../token-batch.ts';

/** Options of `openDataset`: those of `loadDataset`, and whether every row is tokenized at the start. */
export interface OpenDatasetOptions extends DatasetOptions {
  /**
   * Tokenizes every row once now, to know all lengths. Packing and grouping by length need them, and the
   * report then covers all rows. Default: false.
   */
  readonly measure?: boolean;
}

const RULES: OptionRules<OpenDatasetOptions> = {
  ...DATASET_RULES,
  measure: trueOrFalse,
};

/** A dataset that stays in its files. A row is read and tokenized when it is needed. */
export interface StreamedDataset extends Disposable {
  readonly training: ExampleSource;
  /** Kept in memory, because evaluation reads them many times. */
  readonly heldOut: readonly Example[];
  readonly report: DatasetReport;
  /** Counts of the training rows read so far, with the names of the report. Rows read twice count twice. */
  readSoFar(): RowCounts;
  close(): void;
}

/**
 * Text files beyond this number are reopened for each row: a process may have only 256 or 1,024 files open.
 * An open file stays readable after it is unlinked. A Parquet file always keeps the descriptor of its
 * temporary file, which has no name to reopen.
 */
const MOST_OPEN_FILES = 64;

/** Number of rows sampled from all files if the first ones have nothing to train on. */
const SAMPLED_ROWS = 256;

function hasExample({ length, at }: ExampleSource): boolean {
  const stride = Math.max(1, length / SAMPLED_ROWS);
  for (let i = 0; i < length; i += stride) if (at(Math.floor(i))) return true;
  return false;
}

/**
 * Opens files of rows without reading them into memory.
 * One pass finds malformed rows and decides which rows are held out. It keeps the position of every 1,024th
 * row and two bits per row (with `measure`, 4 bytes more). The examples are those of `loadDataset`, in
 * the same order. Without `measure`, a training row beyond the first thousand that has no token to predict
 * is found, and left out, only when it is read.
 *
 * @throws QdyloraError as `loadDataset` does. Without `measure`, an error that only tokenizing finds (a
 * template that refuses a row) is thrown when the row is read.
 * @example
 * using dataset = await openDataset('crawl/*.jsonl', { tokenizer, heldOut: 0.001 });
 * const batches = createBatches(dataset.training, batchOptions);
 */
export async function openDataset(
  names: string | readonly string[],
  options: OpenDatasetOptions,
): Promise<StreamedDataset> {
  checkDatasetArguments('open-dataset', names, options, RULES);
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
    const taken = { count: 0 };
    for (const file of reading.files) {
      if (taken.count >= reading.limit) break;
      const part = isPlainText(file, reading)
        ? textPart(file, reading)
        : await rowsPart(file, reading, {
            measure,
            keepsOpen: parts.length < MOST_OPEN_FILES,
          });
      parts.push(part);
      rows = await part.walk(rule, rows, taken);
    }
    if (rows === 0) throw noRowLeftError(reading, reading.counts, { rows: taken.count });
    const isEachMeasured = reading.counts.rows === taken.count;
    const heldOutRows = rule.heldOut(isEachMeasured ? reading.counts.reasons : {});
    const heldOut = parts.flatMap((part) => part.take(heldOutRows));
    const readCounts = noRowsYet();
    const training = mixFiles(
      parts.map((part, i) => ({ file: reading.files[i], source: part.training(readCounts) })),
      reading,
    );
    if (reading.counts.tokens === 0 && !hasExample(training))
      throw noRowLeftError(reading, reading.counts, { rows: taken.count });
    return {
      training,
      heldOut,
      report: datasetReport(reading, reading.counts, {
        rows: taken.count,
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
