import type { DatasetFile, Reading } from '../dataset/dataset-options.ts';
import type { RowLabeller } from '../formats/row-labeller.ts';
import type { Row } from '../formats/row-format.ts';
import { keepExample, noRowsYet, type RowCounts } from '../dataset/keep-example.ts';
import { openRowFile, type RowFile } from '../rows/row-file.ts';
import { walkRows } from '../rows/walk-rows.ts';
import type { HeldOutRule } from '../dataset/held-out-rule.ts';
import type { Example } from '../token-batch.ts';
import { rowTurns } from '../yield-to-events.ts';
import { createBitSet, type BitSet } from './bit-set.ts';
import type { DatasetPart, TakenRows } from './dataset-part.ts';
import type { ExampleSource } from './example-source.ts';
import { growingNumbers, type GrowingNumbers } from './growing-numbers.ts';
import { rowIndex, type RowIndex } from './row-index.ts';

/** Number of rows of an unmeasured dataset that are tokenized for the report. */
const MEASURED_ROWS = 1000;

export interface RowsPartOptions {
  /** Tokenizes every row during the walk. */
  readonly measure: boolean;
  /** True if the file stays open between two reads. */
  readonly keepsOpen: boolean;
}

/**
 * A file whose rows are read on demand. Two bits per row: whether it is usable, and whether it is trained on.
 */
export async function rowsPart(
  file: DatasetFile,
  reading: Reading,
  options: RowsPartOptions,
): Promise<DatasetPart> {
  const labeller = reading.labeller();
  const rows = await openRowFile(file.file, {
    signal: reading.signal,
    skipsLongLines: reading.onBadRow === 'skip',
  });
  const state: PartState = {
    rows,
    reading,
    options,
    labeller,
    index: rowIndex(rows),
    isUsable: createBitSet(),
    isTraining: createBitSet(),
    lengths: options.measure ? growingNumbers() : null,
    start: 0,
    usable: 0,
  };
  return {
    walk: (rule, first, taken) => walkPart(state, rule, { first, taken }),
    take: (numbers) => takeRows(state, numbers),
    training: (counts) => trainingSource(state, counts),
    close: rows.close,
  };
}

interface PartState {
  readonly rows: RowFile;
  readonly reading: Reading;
  readonly options: RowsPartOptions;
  readonly labeller: RowLabeller;
  readonly index: RowIndex;
  /** For each entry: whether it is a usable row, not known to be dropped; and whether it is trained on. */
  readonly isUsable: BitSet;
  readonly isTraining: BitSet;
  /** Number of tokens of each entry; null if they are not measured. */
  readonly lengths: GrowingNumbers | null;
  /** The number of the first usable row, and the number of usable rows. */
  start: number;
  usable: number;
}

async function walkPart(
  state: PartState,
  rule: HeldOutRule,
  { first, taken }: { readonly first: number; readonly taken: TakenRows },
): Promise<number> {
  const { rows, reading, options, labeller, isUsable } = state;
  state.start = first;
  const turn = rowTurns(reading.signal);
  for (const { row, place } of walkRows(rows, reading.bad)) {
    await turn();
    state.index.add(place);
    const facts = row && reading.bad.attempt(() => inspectRow(state, row, rule));
    const isKept = facts !== null && !facts.isDropped;
    isUsable.push(isKept);
    state.isTraining.push(isKept);
    state.lengths?.push(facts?.length ?? 0);
    if (labeller.format) reading.formats.add(labeller.format.name);
    if (isKept) rule.add(first + state.usable++, facts.hash);
    if (facts) taken.count++; // a dropped row counts too
    if (taken.count >= reading.limit) break;
  }
  if (!options.keepsOpen) rows.closeUntilNextRead();
  return first + state.usable;
}

interface RowFacts {
  readonly hash: number;
  /** Number of tokens; 0 if the row was not tokenized. */
  readonly length: number;
  /** True if the row is known to have no token to predict. */
  readonly isDropped: boolean;
}

/**
 * Hashes a row, and tokenizes it if it is measured or may be held out. A count holds out as many rows with a
 * token to predict as it says, so candidates without one must be known.
 */
function inspectRow(state: PartState, row: Row, rule: HeldOutRule): RowFacts {
  const { labeller, options, reading } = state;
  const hash = labeller.hash(row);
  const isMeasured = options.measure || reading.counts.rows < MEASURED_ROWS;
  if (!isMeasured && !rule.isCandidate(hash)) return { hash, length: 0, isDropped: false };
  const example = exampleOf(state, row, isMeasured ? reading.counts : noRowsYet());
  return { hash, length: example?.ids.length ?? 0, isDropped: example === null };
}

const exampleOf = ({ labeller, reading }: PartState, row: Row, counts: RowCounts): Example | null =>
  keepExample({ ...labeller.label(row), source: row.source }, reading.maxSeqLength, counts);

/** Reads the example of an entry. */
function readExample(state: PartState, entry: number, counts: RowCounts): Example | null {
  const row = state.index.read(entry);
  if (!state.options.keepsOpen) state.rows.closeUntilNextRead();
  return row && state.reading.bad.attempt(() => exampleOf(state, row, counts));
}

function takeRows(state: PartState, numbers: readonly number[]): Example[] {
  const { start, usable } = state;
  const places = state.isUsable.ones();
  const counts = noRowsYet();
  return numbers
    .filter((number) => number >= start && number < start + usable)
    .flatMap((number) => {
      const entry = places.at(number - start);
      state.isTraining.clear(entry);
      return readExample(state, entry, counts) ?? [];
    });
}

function trainingSource(state: PartState, counts: RowCounts): ExampleSource {
  const { lengths } = state;
  const places = state.isTraining.ones();
  return {
    length: places.length,
    at: (i) => readExample(state, places.at(i), counts),
    lengthAt: lengths && ((i) => lengths.at(places.at(i))),
  };
}
