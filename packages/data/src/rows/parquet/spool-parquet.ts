import { closeSync, fstatSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { QdyloraError } from '@qdylora/contract';
import type { AsyncBuffer, Compressors, FileMetaData, SchemaTree } from 'hyparquet';
import { badData, NOT_JSON, NOT_UTF8 } from '../../bad-data.ts';
import { yieldToEvents } from '../../yield-to-events.ts';
import { strictDecoder } from '../decode-text.ts';
import { parquetJson } from './parquet-json.ts';

/**
 * The largest row group accepted, because a row group is decoded at once. Writers make row groups of 64 MiB
 * to 512 MiB.
 */
const MAX_ROW_GROUP_BYTES = 2 ** 30;

/**
 * The most values of a row group, over all columns: run-length encoding writes millions of equal ones in a
 * few bytes. All columns of a row group are decoded to arrays, and a page in hand has a second array, so the
 * values take at most 2 × 8 × 2^24 bytes = 256 MiB. Writers end a row group after 2^20 rows.
 */
const MAX_ROW_GROUP_VALUES = 2 ** 24;

/** Rows that are objects at the same time. 4 million rows of one column took 168 bytes each: 42 MiB. */
const ROWS_AT_ONCE = 2 ** 18;

/**
 * Text that is not UTF-8 and JSON that is malformed become a record, so that a row that needs them says so.
 * Columns that no row reads do no harm. JSON stays text, because parsing would lose digits and the order of
 * keys (`parquetJson`).
 */
const STRICT_TEXT = {
  stringFromBytes: (bytes: Uint8Array | undefined): unknown => bytes && textOrRecord(bytes),
  jsonFromBytes(bytes: Uint8Array | undefined): unknown {
    const text = bytes && textOrRecord(bytes);
    return typeof text !== 'string' || isJson(text) ? text : { [NOT_JSON]: text.length };
  },
};

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function textOrRecord(bytes: Uint8Array): unknown {
  try {
    return strictDecoder.decode(bytes);
  } catch {
    return { [NOT_UTF8]: bytes.length };
  }
}

/** Text is written in blocks of about this size. */
const WRITE_BYTES = 2 ** 20;

/**
 * Converts a Parquet file to JSON lines in an unlinked temporary file, and returns its descriptor.
 * The file disappears with the process. One row group is in memory at a time. Rows can then be read at any
 * position, which Parquet does not support. Numbers are written as in Python (`parquetJson`).
 *
 * @throws QdyloraError BAD_DATA for a file that is not Parquet, is cut off, uses an unknown compression, or
 * has row groups over 1 GiB or over 2^24 values; WRITE_FAILED if the temporary file cannot be opened or
 * written; ABORTED.
 */
export async function spoolParquet(descriptor: number, file: string, signal?: AbortSignal): Promise<number> {
  const [{ parquetMetadataAsync, parquetReadObjects, parquetSchema }, { compressors }] = await Promise.all([
    import('hyparquet'),
    import('hyparquet-compressors'),
  ]); // loaded on demand: it takes 20 ms
  const decompressors = withEmptyLz4(compressors);
  const buffer = asyncBuffer(descriptor);
  const metadata = await withReadErrors(file, () => parquetMetadataAsync(buffer, { geoparquet: false }));
  const schema = await withReadErrors(file, () => parquetSchema(metadata));
  const spool = withWriteErrors(file, openUnlinkedFile);
  try {
    assertColumns(file, metadata, schema, buffer.byteLength);
    let rowStart = 0;
    for (const rowCount of slicesOf(rowGroups(metadata, file))) {
      const rowEnd = rowStart + rowCount;
      const rows = await withReadErrors(file, () =>
        parquetReadObjects({
          file: buffer,
          metadata,
          compressors: decompressors,
          rowStart,
          rowEnd,
          geoparquet: false,
          parsers: STRICT_TEXT,
        }),
      );
      if (rows.length !== rowCount)
        throw badData(
          file,
          `Rows ${rowStart} to ${rowEnd} must be ${rowCount} rows (got ${rows.length})`,
          'The file may be damaged: make or download it again.',
        );
      for (const block of jsonBlocks(file, rows, schema))
        withWriteErrors(file, () => {
          writeText(spool, block);
        });
      rowStart = rowEnd;
      await yieldToEvents(signal, {
        where: file,
        problem: 'The signal was aborted while a Parquet file was read',
      });
    }
    return spool;
  } catch (error) {
    closeSync(spool);
    throw error;
  }
}

/**
 * A page without values (a column of nulls) has no bytes, which LZ4 writes as one byte. The decompressors of
 * hyparquet-compressors 1.1.2 take it for a copy of earlier bytes.
 */
function withEmptyLz4({ LZ4: lz4, LZ4_RAW: raw, ...others }: Compressors): Compressors {
  const unlessEmpty =
    (decompress: NonNullable<typeof lz4>): NonNullable<typeof lz4> =>
    (input, size) =>
      size === 0 ? new Uint8Array(0) : decompress(input, size);
  return { ...others, LZ4: unlessEmpty(lz4!), LZ4_RAW: unlessEmpty(raw!) };
}

/** The rows as JSON lines, in blocks of about `WRITE_BYTES`. */
function* jsonBlocks(file: string, rows: readonly unknown[], schema: SchemaTree): Generator<string> {
  let text = '';
  for (const [i, row] of rows.entries()) {
    text += `${rowJson(file, row, schema)}\n`;
    if (text.length < WRITE_BYTES && i < rows.length - 1) continue;
    yield text;
    text = '';
  }
}

function rowJson(file: string, row: unknown, schema: SchemaTree): string {
  try {
    return parquetJson(row, schema);
  } catch (cause) {
    throw unreadable(file, cause);
  }
}

function writeText(spool: number, text: string): void {
  for (let bytes = Buffer.from(text); bytes.length > 0;) bytes = bytes.subarray(writeSync(spool, bytes));
}

/** Runs `work`, which opens or writes the copy. @throws QdyloraError WRITE_FAILED with its folder */
function withWriteErrors<T>(file: string, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    const { code } = cause as { code?: string };
    throw new QdyloraError('WRITE_FAILED', {
      where: file,
      problem:
        `The rows of the Parquet file cannot be written to ${tmpdir()} as JSON: ` +
        `${(cause as Error).message}.`,
      nextStep: adviceFor(code),
      details: { folder: tmpdir(), code },
      cause,
    });
  }
}

function adviceFor(code: string | undefined): string {
  switch (code) {
    case 'ENOSPC':
    case 'EDQUOT':
      return 'Free some space there, or name another folder in the environment variable TMPDIR.';
    case 'EMFILE':
    case 'ENFILE':
      return 'Raise the limit of open files (ulimit -n).';
    default:
      return 'Name another folder in the environment variable TMPDIR.';
  }
}

/**
 * Checks that every row group has one chunk for every column of the schema, within the file. The reader
 * starts all chunks at once and awaits those that the schema names; an error in any other one would end the
 * process.
 */
function assertColumns(
  file: string,
  { row_groups: groups }: FileMetaData,
  schema: SchemaTree,
  byteLength: number,
): void {
  const expected = leavesOf(schema).map(pathKey).sort().join();
  const names = schema.children.map(({ element }) => element.name);
  const damaged = (wanted: string, got: string): Error =>
    badData(
      file,
      `A Parquet file must have ${wanted} (got ${got})`,
      'The file may be damaged: make or download it again.',
    );
  if (new Set(names).size < names.length) throw damaged('a different name for each column', 'one name twice');
  for (const { columns } of groups) {
    if (
      columns
        .map(({ meta_data: meta }) => pathKey(meta?.path_in_schema ?? []))
        .sort()
        .join() !== expected
    )
      throw damaged('one chunk for every column of the schema in each row group', 'others');
    for (const { meta_data: meta } of columns) {
      const start = Number(meta!.dictionary_page_offset || meta!.data_page_offset);
      const end = start + Number(meta!.total_compressed_size);
      if (!(start >= 0 && start <= end && end <= byteLength))
        throw damaged(`columns within ${byteLength} bytes`, `one from ${start} to ${end}`);
    }
  }
}

const leavesOf = ({ children, path }: SchemaTree): (readonly string[])[] =>
  children.length === 0 ? [path] : children.flatMap(leavesOf);

const pathKey = (path: readonly string[]): string => JSON.stringify(path);

/** Splits the rows of each row group into parts of at most `ROWS_AT_ONCE`. */
function* slicesOf(groups: readonly number[]): Generator<number> {
  for (const rows of groups)
    for (let start = 0; start < rows; start += ROWS_AT_ONCE) yield Math.min(ROWS_AT_ONCE, rows - start);
}

/** Rows of each row group.  @throws QdyloraError BAD_DATA for a row group that is too large to decode */
function rowGroups({ row_groups: groups }: FileMetaData, file: string): number[] {
  return groups.map(({ num_rows: rowCount, total_byte_size: groupBytes, columns }) => {
    const sum = (count: 'total_uncompressed_size' | 'num_values'): number =>
      columns.reduce((total, { meta_data: meta }) => total + Number(meta?.[count] ?? 0n), 0);
    const rows = Number(rowCount);
    if (!(rows >= 0))
      throw badData(
        file,
        `A row group must state its number of rows (got ${rowCount})`,
        'The file may be damaged: make or download it again.',
      );
    assertWithin(file, 'bytes', Math.max(Number(groupBytes), sum('total_uncompressed_size')));
    assertWithin(file, 'values', Math.max(rows, sum('num_values')));
    return rows;
  });
}

/** @throws QdyloraError BAD_DATA for a row group over the limit of its bytes or values */
function assertWithin(file: string, unit: 'bytes' | 'values', count: number): void {
  const most = unit === 'bytes' ? MAX_ROW_GROUP_BYTES : MAX_ROW_GROUP_VALUES;
  if (count > most)
    throw badData(
      file,
      `A row group has ${count} ${unit}, more than the limit of ${most}`,
      'Write the file with smaller row groups.',
    );
}

function asyncBuffer(descriptor: number): AsyncBuffer {
  const byteLength = fstatSync(descriptor).size;
  return {
    byteLength,
    slice(start, end = byteLength) {
      const length = Math.min(end, byteLength) - start;
      if (!(start >= 0) || !(length >= 0)) throw new RangeError(`bytes ${start}…${end} of ${byteLength}`);
      const bytes = new Uint8Array(length);
      for (let at = 0; at < length;) {
        const size = readSync(descriptor, bytes, at, Math.min(length - at, 2 ** 30), start + at);
        if (size === 0) throw new RangeError('the end of the file');
        at += size;
      }
      return Promise.resolve(bytes.buffer);
    },
  };
}

/** Opens a temporary file that has no name, so that it disappears with the process. */
function openUnlinkedFile(): number {
  const folder = mkdtempSync(join(tmpdir(), 'qdylora-rows-'));
  try {
    return openSync(join(folder, 'rows.jsonl'), 'wx+', 0o600);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function withReadErrors<T>(file: string, read: () => T | Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (cause) {
    throw unreadable(file, cause);
  }
}

const unreadable = (file: string, cause: unknown): Error =>
  badData(
    file,
    `The Parquet file cannot be read: ${(cause as Error).message}`,
    'It may be cut, or use a compression that is not known: write it again with zstd or snappy.',
    cause,
  );
