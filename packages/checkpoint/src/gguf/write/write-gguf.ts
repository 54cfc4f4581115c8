import { assertArgument, elementCount } from '@qdylora/contract';
import { printedName } from '../../bad-file.ts';
import type { FileSystem } from '../../write/file-system.ts';
import { countBytes } from '../../write/count-bytes.ts';
import { piecesOfTensor, type FilePiece, type TensorBytes } from '../../write/readable-bytes.ts';
import { streamFile } from '../../write/stream-file.ts';
import { GGML_TYPES } from '../file/ggml-types.ts';
import { DEFAULT_ALIGNMENT, MAX_DIMENSIONS, MAX_TENSOR_NAME_BYTES } from '../file/gguf-limits.ts';
import type { GgufWriteType } from './encode-values.ts';
import { metadataBytes, textBytes, u32, u64, type MetadataToWrite } from './metadata-value.ts';

/**
 * A tensor to write. `bytes` is called when the tensor is written, so at most one tensor is in memory, or one
 * piece of a tensor that is read in pieces.
 */
export interface GgufTensorToWrite {
  readonly name: string;
  readonly type: GgufWriteType;
  /** Row-major. */
  readonly shape: readonly number[];
  readonly bytes: () => TensorBytes | Promise<TensorBytes>;
}

/** The metadata and the tensors of a GGUF file to write. */
export interface GgufToWrite {
  /** In file order; contains `general.architecture`. */
  readonly metadata: ReadonlyMap<string, MetadataToWrite>;
  /** In file order, with unique names. */
  readonly tensors: readonly GgufTensorToWrite[];
}

const VERSION = 3;

/**
 * Writes a GGUF file (version 3, little-endian, alignment 32): temporary file, fsync, rename.
 *
 * @throws QdyloraError BAD_ARGUMENT for tensors that do not fit the format; WRITE_FAILED on a disk error.
 */
export async function writeGguf(
  path: string,
  { metadata, tensors }: GgufToWrite,
  { fs }: { readonly fs?: FileSystem } = {},
): Promise<void> {
  checkTensors(tensors);
  await streamFile(path, piecesOf(metadata, tensors), { fs });
}

async function* piecesOf(
  metadata: GgufToWrite['metadata'],
  tensors: readonly GgufTensorToWrite[],
): AsyncGenerator<FilePiece> {
  const header: Buffer[] = [Buffer.from('GGUF'), u32(VERSION), u64(tensors.length), u64(metadata.size)];
  for (const [key, value] of metadata) header.push(textBytes(key), metadataBytes(value));
  let offset = 0;
  for (const { name, shape, type } of tensors) {
    header.push(
      textBytes(name),
      u32(shape.length),
      ...[...shape].reverse().map(u64),
      u32(typeId(type)),
      u64(offset),
    );
    offset = aligned(offset + byteLengthOf(type, shape));
  }
  const bytes = Buffer.concat(header);
  yield bytes;
  yield Buffer.alloc(aligned(bytes.length) - bytes.length);
  for (const { name, type, shape, bytes: make } of tensors) {
    const expected = byteLengthOf(type, shape);
    const count = countBytes('gguf', `${printedName(name)} (${type} [${shape.join(', ')}])`, expected);
    for await (const piece of piecesOfTensor(await make())) yield count.add(piece);
    count.end();
    yield Buffer.alloc(aligned(expected) - expected);
  }
}

function checkTensors(tensors: readonly GgufTensorToWrite[]): void {
  const names = new Set<string>();
  for (const { name, shape, type } of tensors) {
    assertArgument(
      !names.has(name) && Buffer.byteLength(name) <= MAX_TENSOR_NAME_BYTES,
      'gguf',
      `Names must have at most ${MAX_TENSOR_NAME_BYTES} bytes and occur once (got ${printedName(name)})`,
    );
    names.add(name);
    const isWhole =
      shape.length >= 1 &&
      shape.length <= MAX_DIMENSIONS &&
      shape.every((size) => Number.isSafeInteger(size) && size >= 1) &&
      shape.at(-1)! % ggmlType(type).blockLength === 0;
    assertArgument(
      isWhole,
      'gguf',
      `${printedName(name)} must have 1 to ${MAX_DIMENSIONS} sizes ≥ 1 and rows of whole ` +
        `${type} blocks (got [${shape.join(', ')}])`,
    );
  }
}

const aligned = (offset: number): number => Math.ceil(offset / DEFAULT_ALIGNMENT) * DEFAULT_ALIGNMENT;
const typeId = (type: GgufWriteType): number => [...GGML_TYPES].find(([, { name }]) => name === type)![0];
const ggmlType = (type: GgufWriteType): { readonly blockLength: number; readonly blockBytes: number } =>
  GGML_TYPES.get(typeId(type))!;
const byteLengthOf = (type: GgufWriteType, shape: readonly number[]): number =>
  (elementCount(shape) / ggmlType(type).blockLength) * ggmlType(type).blockBytes;
