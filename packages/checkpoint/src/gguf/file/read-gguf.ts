import { badFile, printedName } from '../../bad-file.ts';
import { readBytes, type ByteSource } from '../../read/byte-source.ts';
import { GGML_TYPES, type GgmlType } from './ggml-types.ts';
import { ggufCursor, type GgufCursor } from './gguf-cursor.ts';
import {
  DEFAULT_ALIGNMENT,
  GGUF_VERSIONS,
  MAX_ALIGNMENT,
  MAX_ARRAY_ELEMENTS,
  MAX_DIMENSIONS,
  MAX_GGUF_HEADER_BYTES,
  MAX_GGUF_TENSORS,
  MAX_KEY_BYTES,
  MAX_METADATA_KEYS,
  MAX_TENSOR_NAME_BYTES,
} from './gguf-limits.ts';

/** A metadata value; 64-bit numbers beyond 2⁵³ are `bigint`. */
export type GgufScalar = number | bigint | boolean | string;
/** A metadata value, or an array of them; arrays of arrays are refused. */
export type GgufValue = GgufScalar | readonly GgufScalar[];

/** The position and shape of a tensor. `shape` is row-major: the reverse of the order in the file. */
export interface GgufTensor {
  readonly name: string;
  readonly type: GgmlType;
  readonly shape: readonly number[];
  /** Byte offset in the file. */
  readonly begin: number;
  readonly byteLength: number;
}

/** The header of a GGUF file: its metadata, and the position and shape of each tensor. */
export interface GgufFile {
  /** Version of the format, 2 or 3. */
  readonly version: number;
  /** Tensor data begins at multiples of this number of bytes. */
  readonly alignment: number;
  /** In file order, without the arrays that `leavesOut` skips. */
  readonly metadata: ReadonlyMap<string, GgufValue>;
  /** By name, in file order. */
  readonly tensors: ReadonlyMap<string, GgufTensor>;
}

export interface ReadGgufOptions {
  /**
   * Keys whose arrays are skipped: a vocabulary takes ten times as long as the rest of the header. Their
   * strings are not decoded.
   */
  readonly leavesOut?: (key: string) => boolean;
}

/**
 * Reads and checks the header, metadata and tensor list of a GGUF file; no tensor byte is read.
 *
 * @throws QdyloraError BAD_FILE for a file that a correct writer would not produce, or beyond the limits in
 * `gguf-limits.ts`.
 */
export function readGguf(source: ByteSource, { leavesOut = () => false }: ReadGgufOptions = {}): GgufFile {
  const cursor = ggufCursor(source);
  const version = readMagic(source, cursor);
  const tensorCount = cursor.count('the number of tensors', MAX_GGUF_TENSORS);
  const keyCount = cursor.count('the number of metadata keys', MAX_METADATA_KEYS);
  const metadata = readMetadata(cursor, keyCount, leavesOut);
  const alignment = readAlignment(metadata, cursor.fail);
  const relative: GgufTensor[] = [];
  const names = new Set<string>();
  for (let i = 0; i < tensorCount; i++) {
    const tensor = readTensorInfo(cursor);
    if (names.has(tensor.name))
      throw cursor.fail(`the tensor ${printedName(tensor.name)} occurs twice`, {
        tensor: tensor.name,
      });
    names.add(tensor.name);
    relative.push(tensor);
  }
  const dataStart = alignUp(cursor.position, alignment);
  checkLayout(relative, { alignment, byteLength: source.byteLength - dataStart }, cursor.fail);
  return {
    version,
    alignment,
    metadata,
    tensors: new Map(relative.map((tensor) => [tensor.name, { ...tensor, begin: dataStart + tensor.begin }])),
  };
}

function readMagic(source: ByteSource, cursor: GgufCursor): number {
  const { fail } = cursor;
  const magic = source.byteLength >= 4 ? Buffer.from(readBytes(source, 0, 4)).toString('latin1') : '';
  if (magic !== 'GGUF')
    throw fail(`the file must begin with the four bytes GGUF (got ${printedName(magic)})`);
  cursor.u32('the magic bytes');
  const version = cursor.u32('the version');
  if (GGUF_VERSIONS.includes(version)) return version;
  const isSwapped = version !== 0 && (version & 0xffff) === 0;
  const problem =
    `the version must be ${GGUF_VERSIONS.join(' or ')} (got ` +
    `${isSwapped ? 'a big-endian file' : version})`;
  throw isSwapped
    ? badFile({
        format: 'gguf',
        path: source.path,
        problem,
        nextStep: 'Turn its bytes round with gguf-convert-endian of the Python package gguf.',
      })
    : fail(problem, { supported: GGUF_VERSIONS });
}

function readMetadata(
  cursor: GgufCursor,
  keyCount: number,
  leavesOut: (key: string) => boolean,
): Map<string, GgufValue> {
  const { fail } = cursor;
  const metadata = new Map<string, GgufValue>();
  let elements = 0;
  for (let i = 0; i < keyCount; i++) {
    const key = cursor.string('a metadata key', MAX_KEY_BYTES);
    if (metadata.has(key)) throw fail(`the key ${printedName(key)} occurs twice`, { key });
    const label = `the value of ${printedName(key)}`;
    const type = cursor.u32(`the type of ${printedName(key)}`);
    if (type !== ARRAY_TYPE) {
      metadata.set(key, readScalar(cursor, type, label));
      continue;
    }
    const elementType = cursor.u32(`the element type of ${printedName(key)}`);
    const length = cursor.count(`the length of ${printedName(key)}`, MAX_ARRAY_ELEMENTS);
    const array: MetadataArray = { label, elementType, length };
    const bytes = leastBytes(cursor, array);
    if (bytes > cursor.remaining)
      throw fail(`${label} needs at least ${bytes} bytes, but only ${cursor.remaining} are left`, {
        key,
        length,
      });
    if ((elements += length) > MAX_ARRAY_ELEMENTS)
      throw fail(
        `all metadata arrays together have more than ${MAX_ARRAY_ELEMENTS} elements, at ` +
          `${printedName(key)}`,
      );
    if (leavesOut(key)) skipArray(cursor, array);
    else metadata.set(key, readArray(cursor, array));
  }
  return metadata;
}

/** An array whose elements follow in the file. `label` names it in messages. */
interface MetadataArray {
  readonly label: string;
  readonly elementType: number;
  readonly length: number;
}

/** Bytes that the array takes at least: a string may be longer than its length field. */
const leastBytes = (cursor: GgufCursor, { label, elementType, length }: MetadataArray): number =>
  length * scalarType(cursor, elementType, label)[0];

function readArray(cursor: GgufCursor, { label, elementType, length }: MetadataArray): GgufScalar[] {
  const [, read] = scalarType(cursor, elementType, label);
  const values: GgufScalar[] = [];
  for (let i = 0; i < length; i++) values.push(read(cursor, label));
  return values;
}

/** Skips an array, with the same limits as for an array that is read. */
function skipArray(cursor: GgufCursor, array: MetadataArray): void {
  if (array.elementType === STRING_TYPE) cursor.skipStrings(array.length, array.label, MAX_GGUF_HEADER_BYTES);
  else cursor.skip(leastBytes(cursor, array), array.label);
}

const ARRAY_TYPE = 9;
const STRING_TYPE = 8;

type ScalarType = readonly [leastBytes: number, read: (cursor: GgufCursor, label: string) => GgufScalar];

/** Metadata types by number. */
const SCALARS: ReadonlyMap<number, ScalarType> = new Map<number, ScalarType>([
  [0, [1, (c, label) => c.u8(label)]],
  [1, [1, (c, label) => c.i8(label)]],
  [2, [2, (c, label) => c.u16(label)]],
  [3, [2, (c, label) => c.i16(label)]],
  [4, [4, (c, label) => c.u32(label)]],
  [5, [4, (c, label) => c.i32(label)]],
  [6, [4, (c, label) => c.f32(label)]],
  [
    7,
    [
      1,
      (c, label) => {
        const byte = c.u8(label);
        if (byte > 1) throw c.fail(`${label} must be 0 or 1 (got ${byte})`);
        return byte === 1;
      },
    ],
  ],
  [STRING_TYPE, [8, (c, label) => c.string(label, MAX_GGUF_HEADER_BYTES)]],
  [10, [8, (c, label) => c.u64(label)]],
  [11, [8, (c, label) => c.i64(label)]],
  [12, [8, (c, label) => c.f64(label)]],
]);

function scalarType(cursor: GgufCursor, type: number, label: string): ScalarType {
  const found = SCALARS.get(type);
  if (!found)
    throw cursor.fail(
      `${label} must be a metadata type from 0 to 12 (got ` +
        `${type === ARRAY_TYPE ? 'an array inside an array' : type})`,
    );
  return found;
}

const readScalar = (cursor: GgufCursor, type: number, label: string): GgufScalar =>
  scalarType(cursor, type, label)[1](cursor, label);

function readAlignment(metadata: ReadonlyMap<string, GgufValue>, fail: GgufCursor['fail']): number {
  const alignment = metadata.get('general.alignment') ?? DEFAULT_ALIGNMENT;
  const isPowerOfTwo = typeof alignment === 'number' && Number.isSafeInteger(Math.log2(alignment));
  if (!isPowerOfTwo || alignment < 1 || alignment > MAX_ALIGNMENT)
    throw fail(
      `general.alignment must be a power of two up to ${MAX_ALIGNMENT} (got ` +
        `${String(alignment).slice(0, 40)})`,
    );
  return alignment;
}

function readTensorInfo(cursor: GgufCursor): GgufTensor {
  const { fail } = cursor;
  const name = cursor.string('a tensor name', MAX_TENSOR_NAME_BYTES);
  const shown = printedName(name);
  const dimensions = cursor.u32(`the number of dimensions of ${shown}`);
  if (dimensions > MAX_DIMENSIONS)
    throw fail(`${shown} has ${dimensions} dimensions, more than ${MAX_DIMENSIONS}`, {
      tensor: name,
    });
  const sizes = Array.from({ length: dimensions }, () =>
    cursor.count(`a dimension of ${shown}`, Number.MAX_SAFE_INTEGER),
  );
  const typeId = cursor.u32(`the type of ${shown}`);
  const type = GGML_TYPES.get(typeId);
  const begin = cursor.count(`the offset of ${shown}`, Number.MAX_SAFE_INTEGER);
  if (!type)
    throw fail(
      `the type of ${shown} must be one of ` +
        `${[...GGML_TYPES.values()].map((t) => t.name).join(', ')} (got number ${typeId})`,
      { tensor: name, typeId },
    );
  const row = sizes[0] ?? 1;
  const count = sizes.includes(0) ? 0 : sizes.reduce((product, size) => product * size, 1);
  if (row % type.blockLength !== 0)
    throw fail(`${shown} (${type.name}) must have rows of a multiple of ${type.blockLength} (got ${row})`, {
      tensor: name,
    });
  const byteLength = (count / type.blockLength) * type.blockBytes;
  if (!Number.isSafeInteger(count) || !Number.isSafeInteger(byteLength))
    throw fail(
      `${shown} has a size of 2^53 bytes or more: ${type.name} [${[...sizes].reverse().join(', ')}]`,
      { tensor: name },
    );
  return { name, type, shape: sizes.reverse(), begin, byteLength };
}

/**
 * Checks that tensors follow each other, each at the next multiple of the alignment, and end inside the file:
 * no overlaps and no gaps.
 */
function checkLayout(
  tensors: readonly GgufTensor[],
  data: { readonly alignment: number; readonly byteLength: number },
  fail: GgufCursor['fail'],
): void {
  let at = 0;
  for (const { name, type, shape, begin, byteLength } of [...tensors].sort(
    (a, b) => a.begin - b.begin || a.byteLength - b.byteLength,
  )) {
    const label = `${printedName(name)} (${type.name} [${shape.join(', ')}])`;
    const expected = alignUp(at, data.alignment);
    if (begin !== expected)
      throw fail(`${label} must begin at byte ${expected} of the data (got ${begin})`, {
        tensor: name,
        expected,
        got: begin,
      });
    if (byteLength > data.byteLength - begin) {
      const room = Math.max(0, data.byteLength - begin);
      throw fail(`${label} has ${byteLength} bytes, but the file has only ${room} for it`, {
        tensor: name,
        expected: byteLength,
        got: room,
      });
    }
    at = begin + byteLength;
  }
}

const alignUp = (offset: number, alignment: number): number => Math.ceil(offset / alignment) * alignment;
