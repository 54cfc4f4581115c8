import { closeSync, fstatSync, readSync } from 'node:fs';
import { badData } from '../bad-data.ts';
import { jsonElements, placeInList } from './json/json-elements.ts';
import { BEGINNING, BYTE_ORDER_MARK, linesOf, openRegularFile, type Line, type Place } from './read-lines.ts';
import { EMPTY_FILE } from './no-rows.ts';
import { spoolParquet } from './parquet/spool-parquet.ts';

/** An open file of rows: JSON lines, a JSON list, or Parquet. */
export interface RowFile {
  /** The name that the caller used. */
  readonly file: string;
  /** Description of the file for the error if it holds no row. */
  readonly empty: string;
  /** The bytes of each row, from a position of an earlier walk on; by default from the beginning. */
  rows(from?: Place): Generator<Line>;
  /** The place of a row, for errors. */
  where(place: Place): string;
  /**
   * Checks that the file is unchanged. @throws QdyloraError BAD_DATA if its size or its modification time has
   * changed since it was opened.
   */
  assertUnchanged(): void;
  /**
   * Closes the file until rows are read again. The temporary file of a Parquet file stays open, because it
   * has no name.
   */
  closeUntilNextRead(): void;
  close(): void;
}

/**
 * Opens a file of rows. Its content decides its type, not its name: a Parquet file begins with `PAR1`, a JSON
 * list with `[`; any other file is read as JSON lines.
 *
 * @throws QdyloraError MISSING_FILE; BAD_DATA for anything but a regular file, or for a Parquet file that
 * cannot be read.
 */
export async function openRowFile(
  file: string,
  { signal, skipsLongLines }: { readonly signal?: AbortSignal; readonly skipsLongLines?: boolean } = {},
): Promise<RowFile> {
  const descriptor = openRegularFile(file);
  try {
    const head = Buffer.alloc(4096);
    const start = head.subarray(0, readSync(descriptor, head, 0, head.length, 0));
    if (start.subarray(0, 4).toString('latin1') === 'PAR1') {
      const spool = await spoolParquet(descriptor, file, signal);
      closeSync(descriptor);
      const where = ({ line }: Place): string => `${file}, row ${line}`;
      return rowFile(file, keptOpen(spool), {
        empty: 'a Parquet file without rows',
        where,
        rows: (from = BEGINNING) =>
          linesOf(spool, file, from, {
            skipsLongLines,
            wording: { where, nextStep: 'Shorten this row, or leave it out.' },
          }),
      });
    }
    const mark = start.subarray(0, 3).equals(BYTE_ORDER_MARK) ? 3 : 0;
    const isList = start.subarray(mark).toString('latin1').trimStart().startsWith('[');
    const opened = reopened(file, descriptor);
    return rowFile(file, opened, {
      empty: isList ? 'an empty JSON list' : EMPTY_FILE,
      where: (place) => (isList ? placeInList(file, place) : `${file}:${place.line}`),
      rows: isList
        ? (from) =>
            jsonElements(opened.descriptor(), file, {
              place: from ?? { offset: mark, line: 1 },
              isInside: from !== undefined,
              skipsLongRows: skipsLongLines,
            })
        : (from = BEGINNING) => linesOf(opened.descriptor(), file, from, { skipsLongLines }),
    });
  } catch (error) {
    closeSync(descriptor);
    throw error;
  }
}

/** An open file that can be closed between reads. */
interface OpenFile {
  descriptor(): number;
  closeUntilNextRead(): void;
  close(): void;
}

function keptOpen(descriptor: number): OpenFile {
  let isOpen = true;
  return {
    descriptor: () => descriptor,
    closeUntilNextRead: () => {},
    close() {
      if (isOpen) closeSync(descriptor);
      isOpen = false; // another file may get this number
    },
  };
}

function reopened(file: string, first: number): OpenFile {
  const { dev, ino } = fstatSync(first);
  let open: number | null = first;
  const close = (): void => {
    if (open !== null) closeSync(open);
    open = null;
  };
  return {
    descriptor() {
      if (open !== null) return open;
      const candidate = openRegularFile(file);
      const now = fstatSync(candidate);
      if (now.dev !== dev || now.ino !== ino) {
        closeSync(candidate);
        throw changed(file, 'Another file has taken this name since the run began');
      }
      open = candidate;
      return open;
    },
    closeUntilNextRead: close,
    close,
  };
}

const changed = (file: string, problem: string): Error =>
  badData(file, problem, 'Leave data files alone while a run reads them, or copy them.');

function rowFile(
  file: string,
  { descriptor, closeUntilNextRead, close }: OpenFile,
  reading: Pick<RowFile, 'empty' | 'rows' | 'where'>,
): RowFile {
  const { size, mtimeNs } = fstatSync(descriptor(), { bigint: true });
  return {
    file,
    ...reading,
    closeUntilNextRead,
    close,
    assertUnchanged() {
      const now = fstatSync(descriptor(), { bigint: true });
      if (now.size !== size)
        throw changed(file, `The file had ${size} bytes when the run began and has ${now.size} now`);
      if (now.mtimeNs !== mtimeNs)
        throw changed(file, `The file was written to after the run began, at ${now.mtime.toISOString()}`);
    },
  };
}
