import { assertArgument, elementCount, QdyloraError } from '@qdylora/contract';
import { printedName } from '../bad-file.ts';
import { allocateBytes, type ByteSource } from '../safetensors/byte-source.ts';
import { FLOAT_DTYPES, readAsFloat32 } from '../safetensors/read-float32.ts';
import type { TensorEntry } from '../tensor-entry.ts';
import { DEQUANTIZERS, type Dequantize } from './dequantize/dequantize.ts';
import type { GgmlType } from './ggml-types.ts';
import type { GgufTensor } from './read-gguf.ts';

/** Packed bytes are unpacked piece by piece, so that only the values lie in memory whole. */
const PIECE_BLOCKS = 4096;

type ReadInto = (target: Uint8Array, byteOffset: number) => void;

/**
 * One tensor of a GGUF file under another name and, with `fileRowOf`, with its rows in another order: row r of the entry is row `fileRowOf(r)`
 * of the file. Blocks run along rows, so the order of rows can change without unpacking.
 */
export function ggufEntry(source: ByteSource, tensor: GgufTensor, name: string, fileRowOf?: (row: number) => number): TensorEntry {
  const { type, shape, byteLength } = tensor, label = `${source.path}: ${printedName(tensor.name)}`;
  const inOrder: ReadInto = (target, byteOffset) => source.readInto(target, tensor.begin + byteOffset);
  const read = fileRowOf ? rowReader(inOrder, byteLength / shape[0]!, fileRowOf) : inOrder;
  const readInto = (target: Uint8Array, byteOffset = 0): void => {
    assertArgument(byteOffset >= 0 && byteOffset + target.length <= byteLength, 'gguf', `expected bytes within 0…${byteLength} of ${label}, got ${byteOffset}…${byteOffset + target.length}`);
    read(target, byteOffset);
  };
  return {
    name, dtype: type.name, shape, byteLength, readInto,
    readBytes() {
      const bytes = allocateBytes(byteLength);
      readInto(bytes);
      return bytes;
    },
    readFloat32() {
      const dequantize = DEQUANTIZERS.get(type.name);
      if (dequantize) return unpack(type, elementCount(shape), dequantize, readInto);
      if ((FLOAT_DTYPES as readonly string[]).includes(type.name)) return readAsFloat32(type.name, elementCount(shape), readInto, label);
      throw unsupportedType(label, type.name);
    },
  };
}

/** Reads bytes of rows in another order. */
function rowReader(inOrder: ReadInto, rowBytes: number, fileRowOf: (row: number) => number): ReadInto {
  return (target, byteOffset) => {
    for (let done = 0; done < target.length;) {
      const row = Math.floor((byteOffset + done) / rowBytes), within = byteOffset + done - row * rowBytes;
      const length = Math.min(rowBytes - within, target.length - done);
      inOrder(target.subarray(done, done + length), fileRowOf(row) * rowBytes + within);
      done += length;
    }
  };
}

function unpack({ blockLength, blockBytes }: GgmlType, count: number, dequantize: Dequantize, readInto: ReadInto): Float32Array<ArrayBuffer> {
  const values = new Float32Array(allocateBytes(count * 4).buffer), blocks = count / blockLength;
  const piece = new Uint8Array(Math.min(PIECE_BLOCKS, blocks) * blockBytes);
  for (let block = 0; block < blocks; block += PIECE_BLOCKS) {
    const length = Math.min(PIECE_BLOCKS, blocks - block), packed = piece.subarray(0, length * blockBytes);
    readInto(packed, block * blockBytes);
    dequantize(packed, values.subarray(block * blockLength, (block + length) * blockLength));
  }
  return values;
}

function unsupportedType(label: string, got: string): QdyloraError {
  const supported = [...FLOAT_DTYPES, ...DEQUANTIZERS.keys()];
  return new QdyloraError('UNSUPPORTED', {
    where: 'gguf', problem: `expected one of ${supported.join(', ')} to read ${label}, got ${got}`,
    nextStep: 'Take a file of another type, such as Q8_0 or Q4_K_M, or the safetensors folder of the same model.', details: { type: got, supported },
  });
}
