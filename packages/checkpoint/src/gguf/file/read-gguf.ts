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

export interface GgufFile {
  readonly version: number;
  readonly alignment: number;
  readonly metadata: ReadonlyMap<string, GgufValue>;
  readonly tensors: ReadonlyMap<string, GgufTensor>;
}

type Fail = (problem: string, details?: Readonly<Record<string, unknown>>) => Error;

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
  const fail: Fail = (problem, details) => badFile({ format: 'gguf', path: source.path, problem, details });
  const cursor = ggufCursor(source, fail);
  const version = readMagic(source, cursor, fail);
  const tensorCount = cursor.count('the number of tensors', MAX_GGUF_TENSORS);
  const keyCount = cursor.count('the number of metadata keys', MAX_METADATA_KEYS);
  const metadata = readMetadata(cursor, keyCount, leavesOut, fail);
  const alignment = readAlignment(metadata, fail);
  const relative: GgufTensor[] = [];
  const names = new Set<string>();
  for (let i = 0; i < tensorCount; i++) {
    const tensor = readTensorInfo(cursor, fail);
    if (names.has(tensor.name))
      throw fail(`the tensor ${printedName(tensor.name)} occurs twice`, {
        tensor: tensor.name,
      });
    names.add(tensor.name);
    relative.push(tensor);
  }
  const dataStart = alignUp(cursor.position, alignment);
  checkLayout(relative, alignment, source.byteLength - dataStart, fail);
  return {
    version,
    alignment,
    metadata,
    tensors: new Map(relative.map((tensor) => [tensor.name, { ...tensor, begin: dataStart + tensor.begin }])),
  };
}

function readMagic(source: ByteSource, cursor: GgufCursor, fail: Fail): number {
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
  fail: Fail,
): Map<string, GgufValue> {
  const metadata = new Map<string, GgufValue>();
  let elements = 0;
  for (let i = 0; i < keyCount; i++) {
    const key = cursor.string('a metadata key', MAX_KEY_BYTES);
    if (metadata.has(key)) throw fail(`the key ${printedName(key)} occurs twice`, { key });
    const label = `the value of ${printedName(key)}`;
    const type = cursor.u32(`the type of ${printedName(key)}`);
    if (type !== ARRAY_TYPE) {
      metadata.set(key, readScalar(cursor, type, label, fail));
      continue;
    }
    const elementType = cursor.u32(`the element type of ${printedName(key)}`);
    const length = cursor.count(`the length of ${printedName(key)}`, MAX_ARRAY_ELEMENTS);
    const bytes = length * smallestBytes(elementType, label, fail);
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
    if (leavesOut(key)) {
      walkOver(cursor, elementType, length, label, fail);
      continue;
    }
    const values: GgufScalar[] = [];
    const [, read] = scalarType(elementType, label, fail);
    for (let j = 0; j < length; j++) values.push(read(cursor, label, fail));
    metadata.set(key, values);
  }
  return metadata;
}

/** Skips an array, with the same limits as for an array that is read. */
function walkOver(cursor: GgufCursor, elementType: number, length: number, label: string, fail: Fail): void {
  if (elementType === STRING_TYPE) cursor.skipStrings(length, label, MAX_GGUF_HEADER_BYTES);
  else cursor.skip(length * smallestBytes(elementType, label, fail), label);
}

const ARRAY_TYPE = 9;
const STRING_TYPE = 8;

/** Metadata types by number: name, minimum size in bytes, and reader. */
const SCALARS: ReadonlyMap<
  number,
  readonly [bytes: number, read: (cursor: GgufCursor, label: string, fail: Fail) => GgufScalar]
> = new Map([
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
      (c, label, fail) => {
        const byte = c.u8(label);
        if (byte > 1) throw fail(`${label} must be 0 or 1 (got ${byte})`);
        return byte === 1;
      },
    ],
  ],
  [STRING_TYPE, [8, (c, label) => c.string(label, MAX_GGUF_HEADER_BYTES)]],
  [10, [8, (c, label) => c.u64(label)]],
  [11, [8, (c, label) => c.i64(label)]],
  [12, [8, (c, label) => c.f64(label)]],
] satisfies [number, [number, (cursor: GgufCursor, label: string, fail: Fail) => GgufScalar]][]);

function scalarType(
  type: number,
  label: string,
  fail: Fail,
): readonly [number, (cursor: GgufCursor, label: string, fail: Fail) => GgufScalar] {
  const found = SCALARS.get(type);
  if (!found)
    throw fail(
      `${label} must be a metadata type from 0 to 12 (got ` +
        `${type === ARRAY_TYPE ? 'an array inside an array' : type})`,
    );
  return found;
}

const readScalar = (cursor: GgufCursor, type: number, label: string, fail: Fail): GgufScalar =>
  scalarType(type, label, fail)[1](cursor, label, fail);
const smallestBytes = (type: number, label: string, fail: Fail): number => scalarType(type, label, fail)[0];

function readAlignment(metadata: ReadonlyMap<string, GgufValue>, fail: Fail): number {
  const alignment = metadata.get('general.alignment') ?? DEFAULT_ALIGNMENT;
  const isPowerOfTwo = typeof alignment === 'number' && Number.isSafeInteger(Math.log2(alignment));
  if (!isPowerOfTwo || alignment < 1 || alignment > MAX_ALIGNMENT)
    throw fail(
      `general.alignment must be a power of two up to ${MAX_ALIGNMENT} (got ` +
        `${String(alignment).slice(0, 40)})`,
    );
  return alignment;
}

function readTensorInfo(cursor: GgufCursor, fail: Fail): GgufTensor {
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
      `${shown} has a size of 2^53 bytes or more: ${type.name} ` + `[${[...sizes].reverse().join(', ')}]`,
      { tensor: name },
    );
  return { name, type, shape: sizes.reverse(), begin, byteLength };
}

/**
 * Checks that tensors follow each other, each at the next multiple of the alignment, and end inside the file:
 * no overlaps and no gaps.
 */
function checkLayout(tensors: readonly GgufTensor[], alignment: number, room: number, fail: Fail): void {
  let at = 0;
  for (const { name, type, shape, begin, byteLength } of [...tensors].sort(
    (a, b) => a.begin - b.begin || a.byteLength - b.byteLength,
  )) {
    const label = `${printedName(name)} (${type.name} [${shape.join(', ')}])`;
    const expected = alignUp(at, alignment);
    if (begin !== expected)
      throw fail(`${label} must begin at byte ${expected} of the data (got ${begin})`, {
        tensor: name,
        expected,
        got: begin,
      });
    if (byteLength > room - begin)
      throw fail(
        `${label} has ${byteLength} bytes, but the file has only ${Math.max(0, room - begin)} for ` + 'it',
        {
          tensor: name,
          expected: byteLength,
          got: Math.max(0, room - begin),
        },
      );
    at = begin + byteLength;
  }
}

const alignUp = (offset: number, alignment: number): number => Math.ceil(offset / alignment) * alignment;
