import { badFile, mistakenFile, printedName } from '../bad-file.ts';
import { jsonCursor, type JsonCursor } from '../json/json-cursor.ts';
import { readBytes, type ByteSource } from '../read/byte-source.ts';
import {
  LENGTH_FIELD_BYTES,
  MAX_HEADER_BYTES,
  MAX_METADATA_ENTRIES,
  MAX_NAME_BYTES,
  MAX_RANK,
  MAX_TENSORS,
} from './header-limits.ts';
import { SAFETENSORS_DTYPE_BITS, SAFETENSORS_DTYPES } from './tensor-dtypes.ts';

/** The position of a tensor: bytes `[begin, end)`, relative to `dataStart`. */
export interface TensorLocation {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

/** The header of a safetensors file: its metadata, and the position and shape of each tensor. */
export interface SafetensorsHeader {
  /** `__metadata__`; empty if the header has none. */
  readonly metadata: ReadonlyMap<string, string>;
  /** In the order of the header. */
  readonly tensors: ReadonlyMap<string, TensorLocation>;
  /** File offset of the first tensor byte. */
  readonly dataStart: number;
}

type Fail = (problem: string, details?: Readonly<Record<string, unknown>>) => Error;

/** The state of reading the JSON of a header. */
interface HeaderScan {
  readonly cursor: JsonCursor;
  readonly fail: Fail;
  /** Bytes of the file after the header. */
  readonly room: number;
  /** The current entry, for messages; names are formatted only for errors. */
  tensor: string | null;
}

/**
 * Reads and checks the header of a safetensors file: `u64 N · N bytes of JSON · tensor bytes to the end of
 * the file`.
 *
 * Stricter than the reference reader: the first byte is `{`, no duplicate keys, no unknown keys in an entry,
 * whole numbers only, valid UTF-8, `__metadata__` is not null, and tensor bytes without holes or overlaps up
 * to the exact end of the file.
 *
 * @throws QdyloraError BAD_FILE that names the file, the tensor and the problem.
 */
export function readSafetensorsHeader(source: ByteSource): SafetensorsHeader {
  const fail: Fail = (problem, details) =>
    badFile({
      format: 'safetensors',
      path: source.path,
      problem,
      details,
      nextStep:
        `The file was cut short or its header lies. Download it again, or check it with: npx ` +
        `qdylora inspect ${source.path}`,
    });
  const length = headerLength(source, fail);
  if (length === 0 || readBytes(source, LENGTH_FIELD_BYTES, 1)[0] !== 0x7b)
    throw fail('the header must begin with {'); // checked before 100 MB are read
  const bytes = readBytes(source, LENGTH_FIELD_BYTES, length);
  checkTensorCount(bytes, fail);
  const room = source.byteLength - LENGTH_FIELD_BYTES - length;
  const cursor = jsonCursor(bytes, (problem, offset) =>
    fail(
      `${problem}, at byte ${offset + LENGTH_FIELD_BYTES}` +
        (scan.tensor === null ? '' : ` of the entry ${printedName(scan.tensor)}`),
      { tensor: scan.tensor },
    ),
  );
  const scan: HeaderScan = { cursor, fail, room, tensor: null };
  const header = scanHeader(scan);
  for (let i = cursor.position; i < length; i++)
    if (bytes[i] !== 0x20)
      throw fail(
        `only spaces may follow the header (got byte ${bytes[i]} at byte ${i + LENGTH_FIELD_BYTES})`,
      );
  checkContiguous([...header.tensors.values()], room, fail);
  return { ...header, dataStart: LENGTH_FIELD_BYTES + length };
}

function headerLength(source: ByteSource, fail: Fail): number {
  if (source.byteLength < LENGTH_FIELD_BYTES)
    throw fail(
      `the file must have at least ${LENGTH_FIELD_BYTES} bytes for the length of the header ` +
        `(got ${source.byteLength})`,
    );
  const field = readBytes(source, 0, LENGTH_FIELD_BYTES);
  const length = new DataView(field.buffer).getBigUint64(0, true);
  const mistaken = mistakenFile(readBytes(source, 0, Math.min(64, source.byteLength)));
  if (mistaken)
    throw badFile({
      format: 'safetensors',
      path: source.path,
      problem: `This is not a safetensors file but ${mistaken.got}.`,
      nextStep: mistaken.nextStep,
    });
  if (length > BigInt(MAX_HEADER_BYTES))
    throw fail(`the header has ${length} bytes, more than the limit of ${MAX_HEADER_BYTES}`);
  const room = source.byteLength - LENGTH_FIELD_BYTES;
  if (Number(length) > room)
    throw fail(`the header has ${length} bytes, but the file has only ${room} for it`, {
      expected: Number(length),
      got: room,
    });
  return Number(length);
}

/**
 * Checks the number of tensors before they are read. Every entry has one `data_offsets`; counting these is a
 * hundred times faster than reading the entries. Keys with escapes are counted when they are read.
 */
function checkTensorCount(bytes: Uint8Array, fail: Fail): void {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const mark = '"data_offsets"';
  let count = 0;
  for (let at = text.indexOf(mark); at >= 0; at = text.indexOf(mark, at + mark.length))
    if (++count > MAX_TENSORS) throw fail(`there are more than ${MAX_TENSORS} tensors`);
}

function scanHeader(scan: HeaderScan): {
  metadata: Map<string, string>;
  tensors: Map<string, TensorLocation>;
} {
  const { cursor, fail, room } = scan;
  const tensors = new Map<string, TensorLocation>();
  let metadata: Map<string, string> | undefined;
  let total = 0;
  scanObject(cursor, 'a tensor name', (name) => {
    if (name === '__metadata__') {
      if (metadata) throw fail('__metadata__ occurs twice');
      metadata = scanMetadata(cursor, fail);
      return;
    }
    if (tensors.size >= MAX_TENSORS) throw fail(`there are more than ${MAX_TENSORS} tensors`);
    if (tensors.has(name)) throw fail(`the tensor ${printedName(name)} occurs twice`, { tensor: name });
    scan.tensor = name;
    const location = scanEntry(scan, name);
    scan.tensor = null;
    total += location.end - location.begin;
    if (total > room)
      throw fail(`the tensors need more than ${room} bytes together, at ${printedName(name)} (an overlap)`, {
        tensor: name,
      }); // checked early, so that hostile overlaps cost nothing
    tensors.set(name, location);
  });
  return { metadata: metadata ?? new Map<string, string>(), tensors };
}

/** Reads an object `{ "key": …, … }`; `visit` reads a value. */
function scanObject(cursor: JsonCursor, keyLabel: string, visit: (key: string) => void): void {
  cursor.expect('{');
  if (cursor.accept('}')) return;
  do {
    const key = cursor.string(keyLabel, MAX_NAME_BYTES);
    cursor.expect(':');
    visit(key);
  } while (cursor.accept(','));
  cursor.expect('}');
}

function scanMetadata(cursor: JsonCursor, fail: Fail): Map<string, string> {
  const metadata = new Map<string, string>();
  scanObject(cursor, 'a key of __metadata__', (key) => {
    if (metadata.has(key)) throw fail(`the key ${printedName(key)} of __metadata__ occurs twice`);
    if (metadata.size >= MAX_METADATA_ENTRIES)
      throw fail(`__metadata__ has more than ${MAX_METADATA_ENTRIES} entries`);
    metadata.set(key, cursor.string(`__metadata__[${printedName(key)}]`, MAX_HEADER_BYTES));
  });
  return metadata;
}

function scanEntry(scan: HeaderScan, name: string): TensorLocation {
  const { cursor, fail, room } = scan;
  let dtype: string | undefined;
  let shape: number[] | undefined;
  let offsets: number[] | undefined;
  const first = (field: string, value: unknown): void => {
    if (value !== undefined)
      throw fail(`the field ${field} of ${printedName(name)} occurs twice`, { tensor: name });
  };
  scanObject(cursor, 'a field', (field) => {
    if (field === 'dtype') {
      first(field, dtype);
      dtype = cursor.string('the dtype', MAX_NAME_BYTES);
    } else if (field === 'shape') {
      first(field, shape);
      shape = scanNumbers(scan, 'the shape', MAX_RANK);
    } else if (field === 'data_offsets') {
      first(field, offsets);
      offsets = scanNumbers(scan, 'the data_offsets', 2);
    } else
      throw fail(`${printedName(name)} must have dtype, shape and data_offsets (got ${printedName(field)})`, {
        tensor: name,
      });
  });
  if (dtype === undefined || shape === undefined || offsets?.length !== 2)
    throw fail(`${printedName(name)} must have dtype, shape and two data_offsets`, {
      tensor: name,
    });
  const location: TensorLocation = { name, dtype, shape, begin: offsets[0], end: offsets[1] };
  checkSize(location, room, fail);
  return location;
}

/** Reads a list of at most `most` numbers of the current entry. */
function scanNumbers({ cursor, fail, tensor }: HeaderScan, label: string, most: number): number[] {
  const numbers: number[] = [];
  cursor.expect('[');
  if (cursor.accept(']')) return numbers;
  do {
    if (numbers.length >= most)
      throw fail(`${label} of ${printedName(tensor!)} has more than ${most} numbers`, { tensor });
    numbers.push(cursor.wholeNumber(`each number of ${label}`));
  } while (cursor.accept(','));
  cursor.expect(']');
  return numbers;
}

/** Checks that a tensor has the bytes that its dtype and shape need, and that they are inside the file. */
function checkSize({ name, dtype, shape, begin, end }: TensorLocation, room: number, fail: Fail): void {
  const bits = SAFETENSORS_DTYPE_BITS[dtype];
  const total = shape.includes(0) ? 0 : shape.reduce((product, size) => product * size, bits ?? 0);
  const wrong = (problem: (label: string) => string): Error =>
    fail(problem(`${printedName(name)} (${printedName(dtype).slice(1, -1)} [${shape.join(', ')}])`), {
      tensor: name,
      dtype,
      shape,
      expected: total / 8,
      got: end - begin,
    });
  if (bits === undefined)
    throw wrong(
      (label) =>
        `the dtype of ${label} must be one of ${SAFETENSORS_DTYPES.join(', ')} (got ${printedName(dtype)})`,
    );
  if (!Number.isSafeInteger(total)) throw wrong((label) => `${label} has ${total} bits, more than 2^53 − 1`);
  if (total % 8 !== 0) throw wrong((label) => `${label} must have whole bytes (got ${total} bits)`);
  if (end < begin) throw wrong((label) => `the data_offsets of ${label} must rise (got [${begin}, ${end}])`);
  if (end - begin !== total / 8)
    throw wrong((label) => `${label} has ${total / 8} bytes, but its data_offsets span ${end - begin}`);
  if (end > room)
    throw wrong(
      (label) => `${label} has ${total / 8} bytes, but the file has only ${Math.max(0, room - begin)} for it`,
    );
}

/** Checks that tensors follow each other from 0 to `room`, without holes or overlaps. */
function checkContiguous(locations: TensorLocation[], room: number, fail: Fail): void {
  locations.sort((a, b) => a.begin - b.begin || a.end - b.end);
  let at = 0;
  for (const { name, begin, end } of locations) {
    if (begin !== at)
      throw fail(
        `${printedName(name)} must begin at byte ${at} of the data (got ${begin}, ` +
          `${begin < at ? 'an overlap' : 'a hole'})`,
        { tensor: name, expected: at, got: begin },
      );
    at = end;
  }
  if (at !== room)
    throw fail(`the tensors have ${at} bytes, but the file has ${room}`, { expected: at, got: room });
}
