import { turn, type DatasetFile, type Reading } from '../dataset-options.ts';
import type { Row } from '../formats/row-format.ts';
import { keepExample, noRowsYet, type RowCounts } from '../keep-example.ts';
import { openRowFile } from '../rows/row-file.ts';
import { walkRows } from '../rows/walk-rows.ts';
import type { Example } from '../token-batch.ts';
import { createBitSet } from './bit-set.ts';
import type { DatasetPart } from './dataset-part.ts';
import { growingNumbers } from './growing-numbers.ts';
import { rowIndex } from './row-index.ts';

/** Rows of an unmeasured dataset that are made tokens of for the report. */
const MEASURED_ROWS = 1000;

/** Rows between two looks at the signal. */
const ROWS_PER_TURN = 64;

export interface RowsPartOptions {
  /** Makes tokens of every row while walking. */
  readonly measure: boolean;
  /** Whether the file stays open between two rows. */
  readonly keepsOpen: boolean;
  /** Told how many rows have been walked over. */
  readonly onProgress?: (rows: number) => void;
}

/**
 * A file whose rows are read when they are asked for. One bit of each says whether it can be used, one
 * whether it is trained on.
 */
export async function rowsPart(
  file: DatasetFile,
  reading: Reading,
  { measure, keepsOpen, onProgress }: RowsPartOptions,
): Promise<DatasetPart> {
  const { bad, counts, maxSeqLength, signal, limit, formats } = reading;
  const labeller = reading.labeller();
  const rows = await openRowFile(file.file, { signal, passesLong: reading.onBadRow === 'skip' });
  const index = rowIndex(rows);
  const isUsable = createBitSet();
  const isTraining = createBitSet();
  const lengths = measure ? growingNumbers() : null;
  let start = 0;
  let usable = 0;
  const keep = (row: Row, into: RowCounts): Example | null =>
    keepExample({ ...labeller.label(row), source: row.source }, maxSeqLength, into);
  const read = (entry: number, into: RowCounts): Example | null => {
    const row = index.read(entry);
    if (!keepsOpen) rows.rest();
    return row && bad.attempt(() => keep(row, into));
  };
  /** What the walk has to know of a row; null where it is not used. */
  const look = (row: Row): { hash: number; length: number } | null => {
    if (!measure && counts.rows >= MEASURED_ROWS) {
      labeller.check(row);
      return { hash: labeller.hash(row), length: 0 };
    }
    const example = keep(row, counts);
    return example || !measure ? { hash: labeller.hash(row), length: example?.ids.length ?? 0 } : null;
  };
  return {
    async walk(rule, first) {
      start = first;
      for (const { row, place } of walkRows(rows, bad)) {
        if (isUsable.length % ROWS_PER_TURN === 0) await turn(signal);
        index.add(place);
        const known = row && bad.attempt(() => look(row));
        isUsable.push(known !== null);
        isTraining.push(known !== null);
        lengths?.push(known?.length ?? 0);
        if (labeller.format) formats.add(labeller.format.name);
        if (known) rule.add(first + usable++, known.hash);
        if (first + usable >= limit) break;
        if (isUsable.length % 65536 === 0) onProgress?.(first + usable);
      }
      if (!keepsOpen) rows.rest();
      return first + usable;
    },
    take(numbers) {
      const places = isUsable.ones();
      const counted = noRowsYet();
      return numbers
        .filter((number) => number >= start && number < start + usable)
        .flatMap((number) => {
          const entry = places.at(number - start);
          isTraining.clear(entry);
          return read(entry, counted) ?? [];
        });
    },
    training(counted) {
      const places = isTraining.ones();
      return {
        length: places.length,
        at: (i) => read(places.at(i), counted),
        lengthAt: lengths && ((i) => lengths.at(places.at(i))),
      };
    },
    close: rows.close,
  };
}
