import { QdyloraError } from '@qdylora/contract';
import { datasetReport, noRowLeftError, type DatasetReport } from './dataset-report.ts';
import {
  checkDatasetArguments,
  isPlainText,
  readWindows,
  resolveReading,
  type DatasetFile,
  type DatasetOptions,
  type Reading,
} from './dataset-options.ts';
import { keepExample, type LabelledRow } from './keep-example.ts';
import { openRowFile } from '../rows/row-file.ts';
import { windowHash } from '../rows/row-hash.ts';
import { walkRows } from '../rows/walk-rows.ts';
import { heldOutRule } from './held-out-rule.ts';
import { arraySource } from '../stream/example-source.ts';
import { mixFiles } from '../stream/mix-files.ts';
import type { Example } from '../token-batch.ts';
import { rowTurns, yieldBetweenRows } from '../yield-to-events.ts';

/** The examples of a dataset in memory, and the report on how they were read. */
export interface Dataset {
  /** One epoch, in the order of the files; rows of weight 2 occur twice. */
  readonly training: Example[];
  /** Rows for evaluation, which `training` does not contain. */
  readonly heldOut: Example[];
  readonly report: DatasetReport;
}

/**
 * Reads files of rows into memory as tokens with labels.
 * Rows longer than `maxSeqLength` are cut on the right; rows without a token to predict are dropped. Both are
 * counted. Plain text becomes consecutive windows of `maxSeqLength` tokens, all counted. Names may be
 * patterns (`data/*.jsonl`).
 *
 * @throws QdyloraError MISSING_FILE; BAD_DATA with file and line, or with the reasons why no row is left;
 * BAD_CONFIG for settings that do not fit the data; UNSUPPORTED for a template with Jinja that is not
 * implemented; BAD_FILE for characters that the tokenizer lacks; WRITE_FAILED if a Parquet file cannot be
 * copied; BAD_ARGUMENT for unknown or invalid options; ABORTED with the signal's reason as cause.
 * @example
 * const options = { tokenizer, maxSeqLength: 512, heldOut: 200 };
 * const { training, heldOut, report } = await loadDataset('gsm8k.jsonl', options);
 */
export async function loadDataset(
  names: string | readonly string[],
  options: DatasetOptions,
): Promise<Dataset> {
  checkDatasetArguments('load-dataset', names, options);
  const reading = resolveReading(names, options);
  const { files, counts, limit, maxSeqLength, signal } = reading;
  const examples: Example[] = [];
  const rule = heldOutRule(reading.heldOut);
  const parts: { from: number; to: number; file: DatasetFile }[] = [];
  for (const file of files) {
    const from = examples.length;
    for await (const row of labelledRows(file, reading)) {
      const example = keepExample(row, maxSeqLength, counts);
      if (example) {
        rule.add(examples.length, row.hash);
        examples.push(example);
      }
      if (counts.rows >= limit) break;
    }
    parts.push({ from, to: examples.length, file });
    await yieldBetweenRows(signal);
    if (counts.rows >= limit) break;
  }
  if (examples.length === 0) throw noRowLeftError(reading, counts);
  const heldOut = rule.heldOut(counts.reasons);
  const isHeldOut = new Set(heldOut);
  const mixture = mixFiles(
    parts.map(({ from, to, file }) => ({
      file,
      source: arraySource(examples.slice(from, to).filter((_, i) => !isHeldOut.has(from + i))),
    })),
    reading,
  );
  assertInMemory(mixture.length);
  return {
    training: Array.from({ length: mixture.length }, (_, i) => mixture.at(i)!),
    heldOut: heldOut.map((index) => examples[index]),
    report: datasetReport(reading, counts, { fingerprint: rule.fingerprint() }),
  };
}

/** Rows of an epoch in memory, at most: 2^26 references of 8 bytes are half a gigabyte. */
const MOST_IN_MEMORY = 2 ** 26;

function assertInMemory(length: number): void {
  if (length <= MOST_IN_MEMORY) return;
  throw new QdyloraError('BAD_CONFIG', {
    where: 'dataset_weights',
    problem: `An epoch has ${length} rows, more than the ${MOST_IN_MEMORY} that fit in memory.`,
    nextStep: 'Lower the weights: only their ratios matter for the mixture; or set streaming: true.',
    details: { length },
  });
}

/**
 * Tokenizes the rows that `loadDataset` reads, one at a time and uncut, for previews.
 *
 * @throws QdyloraError as `loadDataset` does
 */
export async function* readLabelledRows(
  names: string | readonly string[],
  options: DatasetOptions,
): AsyncGenerator<LabelledRow & { readonly format: string }> {
  checkDatasetArguments('read-labelled-rows', names, options);
  const reading = resolveReading(names, options);
  let rows = 0;
  for (const file of reading.files) {
    reading.formats.clear(); // each file has one format: that of its first row
    for await (const row of labelledRows(file, reading)) {
      yield { ...row, format: [...reading.formats].join(', ') };
      if (++rows >= reading.limit) return;
    }
  }
}

/** The tokenized rows of a file, with their hashes. */
async function* labelledRows(
  file: DatasetFile,
  reading: Reading,
): AsyncGenerator<LabelledRow & { readonly hash: number }> {
  const { formats, bad, onBadRow, seed, signal } = reading;
  const turn = rowTurns(signal);
  if (isPlainText(file, reading)) {
    for (const window of readWindows(file, reading)) {
      await turn();
      yield { ...window, hash: windowHash(window.ids, seed) };
    }
    return;
  }
  const labeller = reading.labeller();
  const rows = await openRowFile(file.file, { signal, skipsLongLines: onBadRow === 'skip' });
  try {
    for (const { row } of walkRows(rows, bad)) {
      await turn();
      const labelled =
        row && bad.attempt(() => ({ hash: labeller.hash(row), ...labeller.label(row), source: row.source }));
      if (labeller.format) formats.add(labeller.format.name);
      if (labelled) yield labelled;
    }
  } finally {
    rows.close();
  }
}
