import { assertArgument, checkOptions, objectWith, trueOrFalse, type OptionRules } from '@qdylora/contract';
import { printedName } from '../bad-file.ts';
import type { FileRecord } from '../folder/manifest.ts';
import type { FileSystem } from '../write/file-system.ts';
import { countBytes, type ByteCount } from '../write/count-bytes.ts';
import {
  piecesOfTensor,
  type FilePiece,
  type ReadableBytes,
  type TensorBytes,
} from '../write/readable-bytes.ts';
import { someFileSystem } from '../write/option-rules.ts';
import { writeFileAsync, type WriteAsyncOptions } from '../write/write-file-async.ts';
import { writeFileDurably, writeFileUnsynced } from '../write/write-file-durably.ts';
import {
  HEADER_ALIGNMENT,
  LENGTH_FIELD_BYTES,
  MAX_HEADER_BYTES,
  MAX_NAME_BYTES,
  MAX_RANK,
  MAX_TENSORS,
} from './header-limits.ts';
import { SAFETENSORS_DTYPE_BITS, SAFETENSORS_DTYPES } from './tensor-dtypes.ts';

/**
 * A tensor to write. A function is called when the tensor is written, so only one tensor, or one piece of it,
 * needs to be in memory: a piece may be reused when the next is requested.
 */
export interface TensorToWrite {
  readonly name: string;
  /** A dtype of the format: `F32`, `BF16`, `U8`, … */
  readonly dtype: string;
  readonly shape: readonly number[];
  /** Row-major, little-endian. */
  readonly bytes: Uint8Array | (() => Uint8Array | Iterable<Uint8Array>);
}

/**
 * A tensor to write whose bytes may also be read in pieces, from device memory or another file, or arrive
 * asynchronously.
 */
export type TensorToStream = Omit<TensorToWrite, 'bytes'> & {
  readonly bytes: Uint8Array | ReadableBytes | (() => TensorBytes | Promise<TensorBytes>);
};

/** Options of `writeSafetensors`: the metadata, and whether the file is synced to the disk. */
export interface WriteSafetensorsOptions {
  /** `__metadata__`; Hugging Face's loaders expect `{ format: 'pt' }`. */
  readonly metadata?: Readonly<Record<string, string>>;
  /**
   * False inside a folder that `writeFolderAtomically` fills, which syncs all its files together. Default:
   * true.
   */
  readonly isSynced?: boolean;
  /** Default: `NODE_FILE_SYSTEM`. */
  readonly fs?: FileSystem;
}

export const SAFETENSORS_RULES: OptionRules<WriteSafetensorsOptions> = {
  metadata: objectWith(),
  isSynced: trueOrFalse,
  fs: someFileSystem,
};

/**
 * Writes a safetensors file, with the same bytes for the same tensors in any order: widest dtype first, then
 * by name, metadata sorted, header padded with spaces. Temporary file, fsync, rename.
 *
 * @throws QdyloraError BAD_ARGUMENT for a tensor whose bytes do not fit its dtype and shape; WRITE_FAILED on
 * a disk error.
 * @example
 * writeSafetensors('out.safetensors', [tensorOf('w', [2, 2], Float32Array.of(1, 2, 3, 4))]);
 */
export function writeSafetensors(
  path: string,
  tensors: Iterable<TensorToWrite>,
  options: WriteSafetensorsOptions = {},
): void {
  checkOptions('safetensors', options, SAFETENSORS_RULES);
  const { metadata = {}, isSynced = true, fs } = options;
  const ordered = inFileOrder(tensors);
  (isSynced ? writeFileDurably : writeFileUnsynced)(
    path,
    piecesOf(ordered, headerBytes(ordered, metadata)),
    fs,
  );
}

/**
 * Writes the same file in the background; returns its size and hash. See `writeFileAsync`.
 *
 * @throws QdyloraError BAD_ARGUMENT, WRITE_FAILED, as a rejection
 */
export async function streamSafetensors(
  path: string,
  tensors: Iterable<TensorToStream>,
  { metadata, blocks }: Pick<WriteSafetensorsOptions, 'metadata'> & WriteAsyncOptions = {},
): Promise<FileRecord> {
  return writeFileAsync(path, safetensorsPieces(tensors, { metadata }), { blocks });
}

/**
 * The pieces of a safetensors file, for `FolderFiles.write` and other writers of `FilePieces`.
 *
 * @throws QdyloraError BAD_ARGUMENT, immediately or when a tensor is read
 */
export function safetensorsPieces(
  tensors: Iterable<TensorToStream>,
  { metadata = {} }: Pick<WriteSafetensorsOptions, 'metadata'> = {},
): AsyncIterable<FilePiece> {
  const ordered = inFileOrder(tensors);
  return streamedPieces(ordered, headerBytes(ordered, metadata));
}

function* piecesOf(ordered: readonly TensorToWrite[], header: Uint8Array): Generator<Uint8Array> {
  yield header;
  for (const tensor of ordered) {
    const count = countTensor(tensor);
    const bytes = typeof tensor.bytes === 'function' ? tensor.bytes() : tensor.bytes;
    for (const piece of bytes instanceof Uint8Array ? [bytes] : bytes) yield count.add(piece);
    count.end();
  }
}

async function* streamedPieces(
  ordered: readonly TensorToStream[],
  header: Uint8Array,
): AsyncGenerator<FilePiece> {
  yield header;
  for (const tensor of ordered) {
    const count = countTensor(tensor);
    const bytes = await (typeof tensor.bytes === 'function' ? tensor.bytes() : tensor.bytes);
    for await (const piece of piecesOfTensor(bytes)) yield count.add(piece);
    count.end();
  }
}

const countTensor = (tensor: TensorShape): ByteCount =>
  countBytes('safetensors', labelOf(tensor), tensorByteLength(tensor));

/** Header fields of a tensor. */
type TensorShape = Pick<TensorToWrite, 'name' | 'dtype' | 'shape'>;

/**
 * Sorts tensors into file order: dtypes from the last of the format's list to the first, then names by their
 * UTF-8 bytes.
 */
function inFileOrder<T extends TensorShape>(tensors: Iterable<T>): T[] {
  const keyed = [...tensors].map((tensor) => ({
    tensor,
    width: SAFETENSORS_DTYPES.indexOf(tensor.dtype),
    name: Buffer.from(tensor.name),
  }));
  assertArgument(
    keyed.length <= MAX_TENSORS,
    'safetensors',
    `there are ${keyed.length} tensors, more than ${MAX_TENSORS}`,
  );
  const names = new Set<string>();
  for (const { tensor, name } of keyed) {
    checkTensor(tensor, name.length);
    assertArgument(
      !names.has(tensor.name),
      'safetensors',
      `the tensor ${printedName(tensor.name)} occurs twice`,
    );
    names.add(tensor.name);
  }
  return keyed
    .sort((a, b) => b.width - a.width || Buffer.compare(a.name, b.name))
    .map(({ tensor }) => tensor);
}

function checkTensor(tensor: TensorShape, nameBytes: number): void {
  const label = labelOf(tensor);
  const bits = SAFETENSORS_DTYPE_BITS[tensor.dtype];
  assertArgument(
    bits !== undefined,
    'safetensors',
    `the dtype of ${label} must be one of ${SAFETENSORS_DTYPES.join(', ')} (got ${tensor.dtype})`,
  );
  assertArgument(
    tensor.name !== '__metadata__' && nameBytes <= MAX_NAME_BYTES && !/\p{Surrogate}/u.test(tensor.name),
    'safetensors',
    `${label} must have a name of at most ${MAX_NAME_BYTES} bytes of valid UTF-8, other than ` +
      '__metadata__',
  );
  assertArgument(
    tensor.shape.length <= MAX_RANK && tensor.shape.every((size) => Number.isSafeInteger(size) && size >= 0),
    'safetensors',
    `the shape of ${label} must have at most ${MAX_RANK} sizes ≥ 0`,
  );
  const total = tensorByteLength(tensor);
  assertArgument(
    Number.isSafeInteger(total),
    'safetensors',
    `${label} must be a whole number of bytes below 2^53 (got ${total})`,
  );
}

/** Bytes of a tensor in the file. */
export const tensorByteLength = ({ dtype, shape }: TensorShape): number =>
  shape.reduce((product, size) => product * size, SAFETENSORS_DTYPE_BITS[dtype]) / 8;
const labelOf = ({ name, dtype, shape }: TensorShape): string =>
  `${printedName(name)} (${dtype} [${shape.join(', ')}])`;

function headerBytes(
  ordered: readonly TensorShape[],
  metadata: Readonly<Record<string, string>>,
): Uint8Array {
  const keys = Object.keys(metadata).sort();
  const parts: string[] = [];
  for (const key of keys)
    assertArgument(
      typeof metadata[key] === 'string',
      'safetensors',
      `the metadata ${printedName(key)} must be text (got ${typeof metadata[key]})`,
    );
  const pairs = keys.map((key) => `${JSON.stringify(key)}:${JSON.stringify(metadata[key])}`);
  if (keys.length > 0) parts.push(`"__metadata__":{${pairs.join(',')}}`);
  let at = 0;
  for (const tensor of ordered) {
    const end = at + tensorByteLength(tensor);
    const entry = { dtype: tensor.dtype, shape: tensor.shape, data_offsets: [at, end] };
    parts.push(`${JSON.stringify(tensor.name)}:${JSON.stringify(entry)}`);
    at = end;
  }
  const json = Buffer.from(`{${parts.join(',')}}`);
  const length = Math.ceil(json.length / HEADER_ALIGNMENT) * HEADER_ALIGNMENT;
  assertArgument(
    length <= MAX_HEADER_BYTES,
    'safetensors',
    `the header has ${length} bytes, more than the limit of ${MAX_HEADER_BYTES}`,
    'Write several files.',
  );
  const bytes = new Uint8Array(LENGTH_FIELD_BYTES + length).fill(0x20, LENGTH_FIELD_BYTES);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(length), true);
  bytes.set(json, LENGTH_FIELD_BYTES);
  return bytes;
}
