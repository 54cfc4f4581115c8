import { assertArgument, elementCount, QdyloraError } from '@qdylora/contract';
import { GGML_BLOCKS, type GgmlBlock } from '@qdylora/quant';
import { printedName } from '../bad-file.ts';
import { allocateBytes, memoryByteSource, type ByteSource } from '../read/byte-source.ts';
import { FLOAT_DTYPES, readAsFloat32, type ReadInto } from '../safetensors/read-float32.ts';
import type { TensorEntry } from '../tensor-entry.ts';
import type { GgufTensor } from './file/read-gguf.ts';
import type { RowOrder } from './tensor-layout.ts';

/** Blocks decoded at a time. A tensor whose rows are reordered is read as a whole first. */
const PIECE_BLOCKS = 4096;

/**
 * A tensor of a GGUF file under another name and, with `fileRowOf`, with another order of rows: row r of the
 * entry is row `fileRowOf(r)` of the file. Blocks run along rows, so rows can be reordered without decoding.
 */
export function ggufEntry(
  source: ByteSource,
  tensor: GgufTensor,
  { name = tensor.name, fileRowOf }: { readonly name?: string; readonly fileRowOf?: RowOrder } = {},
): TensorEntry {
  const { type, shape, byteLength } = tensor;
  const label = `${source.path}: ${printedName(tensor.name)}`;
  const inOrder: ReadInto = (target, byteOffset) => source.readInto(target, tensor.begin + byteOffset);
  const rowBytes = byteLength / (shape[0] ?? 1);
  const read = fileRowOf ? rowReader(inOrder, rowBytes, fileRowOf) : inOrder;
  const readInto = (target: Uint8Array, byteOffset = 0): void => {
    assertArgument(
      byteOffset >= 0 && byteOffset + target.length <= byteLength,
      'gguf',
      `The bytes ${byteOffset}…${byteOffset + target.length} are not within 0…${byteLength} of ${label}`,
    );
    read(target, byteOffset);
  };
  const readBytes = (): Uint8Array<ArrayBuffer> => {
    const bytes = allocateBytes(byteLength);
    readInto(bytes);
    return bytes;
  };
  const readFloat32Into = (target: Float32Array): void => {
    assertArgument(
      target.length === elementCount(shape),
      'gguf',
      `The ${elementCount(shape)} values of ${label} do not fit into ${target.length}`,
    );
    const whole = fileRowOf ? memoryByteSource(readBytes()) : null; // packed rows are small
    const bytesOf: ReadInto = whole ? (piece, at) => whole.readInto(piece, at) : readInto;
    const block = GGML_BLOCKS.get(type.name);
    if (block) unpack(block, target, bytesOf);
    else if ((FLOAT_DTYPES as readonly string[]).includes(type.name))
      readAsFloat32(target, { dtype: type.name, label, readInto: bytesOf });
    else throw unsupportedType(label, type.name);
  };
  return {
    name,
    dtype: type.name,
    shape,
    byteLength,
    readInto,
    readBytes,
    readFloat32Into,
    readFloat32() {
      if (!isReadable(type.name)) throw unsupportedType(label, type.name);
      const values = new Float32Array(allocateBytes(elementCount(shape) * 4).buffer);
      readFloat32Into(values);
      return values;
    },
  };
}

const isReadable = (type: string): boolean =>
  GGML_BLOCKS.has(type) || (FLOAT_DTYPES as readonly string[]).includes(type);

/**
 * A range of the file is read at once if it has at most this many times the wanted rows: the rows of permuted
 * heads are close together.
 */
const MOST_ROWS_READ = 2;

/** Reads bytes of rows in another order. */
function rowReader(inOrder: ReadInto, rowBytes: number, fileRowOf: RowOrder): ReadInto {
  return (target, byteOffset) => {
    if (target.length === 0) return;
    const first = Math.floor(byteOffset / rowBytes);
    const rows = Array.from({ length: Math.ceil((byteOffset + target.length) / rowBytes) - first }, (_, i) =>
      fileRowOf(first + i),
    );
    const { from, bytes } = stretchOf(inOrder, rowBytes, rows);
    rows.forEach((row, i) => {
      const begin = Math.max(0, byteOffset - (first + i) * rowBytes);
      const end = Math.min(rowBytes, byteOffset + target.length - (first + i) * rowBytes);
      const at = (first + i) * rowBytes + begin - byteOffset;
      if (bytes)
        target.set(bytes.subarray((row - from) * rowBytes + begin, (row - from) * rowBytes + end), at);
      else inOrder(target.subarray(at, at + end - begin), row * rowBytes + begin);
    });
  };
}

/** The range from the first to the last of some rows of the file, if they are close together. */
function stretchOf(
  inOrder: ReadInto,
  rowBytes: number,
  rows: readonly number[],
): { readonly from: number; readonly bytes: Uint8Array | null } {
  const from = rows.reduce((least, row) => Math.min(least, row));
  const stretch = rows.reduce((most, row) => Math.max(most, row)) + 1 - from;
  if (stretch > MOST_ROWS_READ * rows.length) return { from, bytes: null };
  const bytes = allocateBytes(stretch * rowBytes);
  inOrder(bytes, from * rowBytes);
  return { from, bytes };
}

function unpack(
  { length: blockLength, bytes, dequantize }: GgmlBlock,
  values: Float32Array,
  readInto: ReadInto,
): void {
  const blocks = values.length / blockLength;
  const piece = new Uint8Array(Math.min(PIECE_BLOCKS, blocks) * bytes);
  for (let block = 0; block < blocks; block += PIECE_BLOCKS) {
    const length = Math.min(PIECE_BLOCKS, blocks - block);
    const packed = piece.subarray(0, length * bytes);
    readInto(packed, block * bytes);
    dequantize(packed, values.subarray(block * blockLength, (block + length) * blockLength));
  }
}

function unsupportedType(label: string, got: string): QdyloraError {
  const supported = [...FLOAT_DTYPES, ...GGML_BLOCKS.keys()];
  return new QdyloraError('UNSUPPORTED', {
    where: 'gguf',
    problem: `${label} has the type ${got}, which cannot be read. Supported: ${supported.join(', ')}.`,
    nextStep:
      'Take a file of another type, such as Q8_0 or Q4_K_M, or the safetensors folder of the same model.',
    details: { type: got, supported },
  });
}
