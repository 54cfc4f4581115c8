import { badFile, printedName } from '../bad-file.ts';
import { jsonCursor, type JsonCursor } from '../json/json-cursor.ts';
import { readBytes, type ByteSource } from './byte-source.ts';
import { LENGTH_FIELD_BYTES, MAX_HEADER_BYTES, MAX_METADATA_ENTRIES, MAX_NAME_BYTES, MAX_RANK, MAX_TENSORS } from './header-limits.ts';
import { SAFETENSORS_DTYPE_BITS, SAFETENSORS_DTYPES } from './tensor-dtypes.ts';

/** Where one tensor lies: bytes `[begin, end)`, counted from `dataStart`. */
export interface TensorLocation {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

export interface SafetensorsHeader {
  readonly metadata: ReadonlyMap<string, string>;
  /** In the order of the header. */
  readonly tensors: ReadonlyMap<string, TensorLocation>;
  /** File offset of the first tensor byte. */
  readonly dataStart: number;
}

type Fail = (problem: string, details?: Readonly<Record<string, unknown>>) => Error;

/**
 * Reads and checks the header of a safetensors file: `u64 N · N bytes of JSON · tensor bytes to the end of the file`.
 *
 * Stricter than the reference reader where that is lenient: first byte `{`, no key twice, no unknown key in an entry, whole numbers only,
 * valid UTF-8, and tensor bytes that follow each other without hole or overlap to the exact end of the file.
 *
 * @throws QdyloraError BAD_FILE, naming the file, the tensor, what was expected and what came.
 */
export function readSafetensorsHeader(source: ByteSource): SafetensorsHeader {
  const fail: Fail = (problem, details) => badFile({ format: 'safetensors', path: source.path, problem, details, nextStep: `The file was cut short or its header lies. Download it again, or check it with: npx qdylora inspect ${source.path}` });
  const length = headerLength(source, fail);
  if (length === 0 || readBytes(source, LENGTH_FIELD_BYTES, 1)[0] !== 0x7b) throw fail('expected a header that begins with {, got something else'); // seen before 100 MB are read
  const bytes = readBytes(source, LENGTH_FIELD_BYTES, length);
  const cursor = jsonCursor(bytes, (problem, offset) => fail(`${problem}, at byte ${offset + LENGTH_FIELD_BYTES}`));
  const header = scanHeader(cursor, fail);
  for (let i = cursor.position; i < length; i++) if (bytes[i] !== 0x20) throw fail(`expected only spaces after the header, got byte ${bytes[i]} at byte ${i + LENGTH_FIELD_BYTES}`);
  checkContiguous([...header.tensors.values()], source.byteLength - LENGTH_FIELD_BYTES - length, fail);
  return { ...header, dataStart: LENGTH_FIELD_BYTES + length };
}

function headerLength(source: ByteSource, fail: Fail): number {
  if (source.byteLength < LENGTH_FIELD_BYTES) throw fail(`expected at least ${LENGTH_FIELD_BYTES} bytes for the length of the header, got ${source.byteLength}`);
  const field = readBytes(source, 0, LENGTH_FIELD_BYTES);
  const length = new DataView(field.buffer).getBigUint64(0, true);
  if (length > BigInt(MAX_HEADER_BYTES)) throw fail(`expected at most ${MAX_HEADER_BYTES} bytes for the header, got ${length}`);
  const room = source.byteLength - LENGTH_FIELD_BYTES;
  if (Number(length) > room) throw fail(`expected ${length} bytes for the header, got ${room}`, { expected: Number(length), got: room });
  return Number(length);
}

function scanHeader(cursor: JsonCursor, fail: Fail): { metadata: Map<string, string>; tensors: Map<string, TensorLocation> } {
  const tensors = new Map<string, TensorLocation>();
  let metadata: Map<string, string> | undefined;
  scanObject(cursor, 'a tensor name', (name) => {
    if (name === '__metadata__') {
      if (metadata) throw fail('expected __metadata__ once, got it twice');
      metadata = scanMetadata(cursor, fail);
      return;
    }
    if (tensors.has(name)) throw fail(`expected the tensor ${printedName(name)} once, got it twice`, { tensor: name });
    if (tensors.size >= MAX_TENSORS) throw fail(`expected at most ${MAX_TENSORS} tensors, got more`);
    tensors.set(name, scanEntry(cursor, name, fail));
  });
  return { metadata: metadata ?? new Map<string, string>(), tensors };
}

/** `{ "key": …, … }`; `visit` reads the value. */
function scanObject(cursor: JsonCursor, what: string, visit: (key: string) => void): void {
  cursor.expect('{');
  if (cursor.accept('}')) return;
  do {
    const key = cursor.string(what, MAX_NAME_BYTES);
    cursor.expect(':');
    visit(key);
  } while (cursor.accept(','));
  cursor.expect('}');
}

function scanMetadata(cursor: JsonCursor, fail: Fail): Map<string, string> {
  const metadata = new Map<string, string>();
  scanObject(cursor, 'a key of __metadata__', (key) => {
    if (metadata.has(key)) throw fail(`expected the key ${printedName(key)} of __metadata__ once, got it twice`);
    if (metadata.size >= MAX_METADATA_ENTRIES) throw fail(`expected at most ${MAX_METADATA_ENTRIES} entries in __metadata__, got more`);
    metadata.set(key, cursor.string(`__metadata__[${printedName(key)}]`, MAX_HEADER_BYTES));
  });
  return metadata;
}

function scanEntry(cursor: JsonCursor, name: string, fail: Fail): TensorLocation {
  const shown = printedName(name);
  let dtype: string | undefined, shape: number[] | undefined, offsets: number[] | undefined;
  const seen = new Set<string>();
  scanObject(cursor, `a field of ${shown}`, (field) => {
    if (seen.has(field)) throw fail(`expected the field ${printedName(field)} of ${shown} once, got it twice`, { tensor: name });
    seen.add(field);
    if (field === 'dtype') dtype = cursor.string(`the dtype of ${shown}`, MAX_NAME_BYTES);
    else if (field === 'shape') shape = scanNumbers(cursor, `the shape of ${shown}`, MAX_RANK, fail);
    else if (field === 'data_offsets') offsets = scanNumbers(cursor, `the data_offsets of ${shown}`, 2, fail);
    else throw fail(`expected dtype, shape and data_offsets for ${shown}, got ${printedName(field)}`, { tensor: name });
  });
  if (dtype === undefined || shape === undefined || offsets?.length !== 2) throw fail(`expected dtype, shape and two data_offsets for ${shown}, got ${[...seen].join(', ') || 'nothing'}`, { tensor: name });
  const [begin, end] = offsets as [number, number];
  checkSize({ name, dtype, shape, begin, end }, fail);
  return { name, dtype, shape, begin, end };
}

function scanNumbers(cursor: JsonCursor, what: string, most: number, fail: Fail): number[] {
  const numbers: number[] = [];
  cursor.expect('[');
  if (cursor.accept(']')) return numbers;
  do {
    if (numbers.length >= most) throw fail(`expected at most ${most} numbers for ${what}, got more`);
    numbers.push(cursor.wholeNumber(what));
  } while (cursor.accept(','));
  cursor.expect(']');
  return numbers;
}

/** The bytes of a tensor are exactly what its dtype and shape need. */
function checkSize({ name, dtype, shape, begin, end }: TensorLocation, fail: Fail): void {
  const bits = SAFETENSORS_DTYPE_BITS[dtype];
  const label = `${printedName(name)} (${printedName(dtype).slice(1, -1)} [${shape.join(', ')}])`, details = { tensor: name, dtype, shape };
  if (bits === undefined) throw fail(`expected one of ${SAFETENSORS_DTYPES.join(', ')} for the dtype of ${label}, got ${printedName(dtype)}`, details);
  const total = shape.includes(0) ? 0 : shape.reduce((product, size) => product * size, bits);
  if (!Number.isSafeInteger(total)) throw fail(`expected a size below 2^53 bits for ${label}, got ${total}`, details);
  if (total % 8 !== 0) throw fail(`expected whole bytes for ${label}, got ${total} bits`, details);
  if (end < begin) throw fail(`expected data_offsets in order for ${label}, got [${begin}, ${end}]`, details);
  if (end - begin !== total / 8) throw fail(`expected ${total / 8} bytes for ${label}, got ${end - begin}`, { ...details, expected: total / 8, got: end - begin });
}

/** Tensor bytes follow each other from 0 to `room`, so that no byte belongs to two tensors and none to nobody. */
function checkContiguous(locations: TensorLocation[], room: number, fail: Fail): void {
  locations.sort((a, b) => a.begin - b.begin || a.end - b.end);
  let at = 0;
  for (const { name, begin, end } of locations) {
    if (begin !== at) throw fail(`expected ${printedName(name)} to begin at byte ${at} of the data, got ${begin} (${begin < at ? 'an overlap' : 'a hole'})`, { tensor: name, expected: at, got: begin });
    at = end;
  }
  if (at !== room) throw fail(`expected ${at} bytes of tensor data, got ${room}`, { expected: at, got: room });
}
