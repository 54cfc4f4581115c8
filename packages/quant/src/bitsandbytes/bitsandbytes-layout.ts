import {
  checkOptions,
  elementCount,
  hostData,
  f32View,
  oneOf,
  QdyloraError,
  sameShape,
  shapeText,
  viewOf,
  type ArrayView,
} from '@qdylora/contract';
import { blockCount } from '../blocks/block-size.ts';
import { NESTED_BLOCK_SIZE } from '../blocks/double-quantize.ts';
import { quantizedMatrix, type QuantizedMatrix } from '../matrix/quantized-matrix.ts';
import type { DoubleQuantizedScales } from '../matrix/quantized-parts.ts';
import { assertArrays, quantizedInputs } from '../ops/quantized-inputs.ts';
import {
  parseQuantState,
  quantStateBytes,
  SOURCE_DTYPES,
  type QuantState,
  type SourceDtype,
} from './quant-state.ts';
import { untileMatrix } from '../matrix/tile-matrix.ts';
import { QUANTIZATION_KINDS } from '../codebooks/levels-of.ts';

/** An array of a safetensors file: little-endian bytes of `dtype`. */
export interface StoredArray {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

/** A quantized weight of a checkpoint, with its dtype before quantization. */
export interface BitsandbytesWeight {
  readonly matrix: QuantizedMatrix;
  readonly sourceDtype: SourceDtype;
}

const STATE_INFIX = '.quant_state.bitsandbytes__';
/** Dtypes of `bnb_4bit_quant_storage` for the packed bytes. Only their width in bytes matters. */
const STORAGE_BYTES: Readonly<Record<string, number>> = { U8: 1, I8: 1, F16: 2, BF16: 2, F32: 4, F64: 8 };

/**
 * A matrix as the named arrays that bitsandbytes, transformers and vLLM load: the packed codes under `name`,
 * its scales and codebooks, and its state as JSON.
 *
 * @param name of the weight, such as `model.layers.0.mlp.up_proj.weight`
 * @throws QdyloraError BAD_ARGUMENT for an unknown option or dtype; DISPOSED
 * @example
 * const packed = quantizeNf4(matrix);
 * const arrays = serializeBitsandbytes('mlp.up_proj.weight', packed, { sourceDtype: 'bfloat16' });
 * [...arrays.keys()]; // mlp.up_proj.weight, mlp.up_proj.weight.absmax, …
 */
export function serializeBitsandbytes(
  name: string,
  matrix: QuantizedMatrix,
  options: { readonly sourceDtype?: SourceDtype } = {},
): Map<string, StoredArray> {
  checkOptions('serialize', options, { sourceDtype: oneOf(SOURCE_DTYPES) });
  assertArrays('serialize', quantizedInputs(matrix));
  const { kind, shape, blockSize, codes, levels, absmax, doubleQuantized: nested } = untileMatrix(matrix);
  const state = quantStateBytes({
    kind,
    shape,
    blockSize,
    sourceDtype: options.sourceDtype ?? 'float32',
    nestedOffset: nested?.offset ?? null,
  });
  const arrays = new Map([
    [name, { ...stored(codes), shape: [elementCount(codes.shape), 1] }],
    [`${name}.absmax`, stored(nested?.codes ?? absmax!)],
  ]);
  arrays.set(`${name}.quant_map`, stored(levels));
  if (nested)
    arrays
      .set(`${name}.nested_absmax`, stored(nested.absmax))
      .set(`${name}.nested_quant_map`, stored(nested.map));
  return arrays.set(`${name}${STATE_INFIX}${kind}`, { dtype: 'U8', shape: [state.length], bytes: state });
}

/** The name of a weight's JSON state in a file; undefined if the weight is not in 4 bits. */
export const quantStateName = (name: string, names: { has(name: string): boolean }): string | undefined =>
  QUANTIZATION_KINDS.map((kind) => `${name}${STATE_INFIX}${kind}`).find((key) => names.has(key));

/**
 * Reads a matrix from the named arrays of a file, with the codebooks of the file. Packed bytes may be stored
 * as U8 or, unchanged, as a 16- or 32-bit dtype. The codes are a view of the file's bytes, not a copy.
 *
 * @throws QdyloraError MISSING_TENSOR; BAD_FILE if an array or the state does not fit
 */
export function deserializeBitsandbytes(
  name: string,
  arrays: ReadonlyMap<string, StoredArray>,
): BitsandbytesWeight {
  const stateName = quantStateName(name, arrays);
  if (stateName === undefined) throw missing(`${name}${STATE_INFIX}${QUANTIZATION_KINDS.join('|')}`);
  const state = parseQuantState(stateName, arrays.get(stateName)!.bytes);
  const weights = elementCount(state.shape);
  const blocks = blockCount(weights, state.blockSize);
  if (!stateName.endsWith(state.kind))
    throw badFile(`the kind in ${stateName} must agree with its name (got ${state.kind})`);
  const isNested = arrays.has(`${name}.nested_absmax`);
  const matrix = quantizedMatrix({
    kind: state.kind,
    shape: state.shape,
    blockSize: state.blockSize,
    codes: storedCodes(name, arrays, Math.ceil(weights / 2)),
    levels: storedF32(`${name}.quant_map`, arrays, 16),
    absmax: isNested ? null : storedF32(`${name}.absmax`, arrays, blocks),
    doubleQuantized: isNested ? storedScales(name, arrays, state, blocks) : null,
  });
  return { matrix, sourceDtype: state.sourceDtype };
}

function storedScales(
  name: string,
  arrays: ReadonlyMap<string, StoredArray>,
  { nestedOffset }: QuantState,
  blocks: number,
): DoubleQuantizedScales {
  if (nestedOffset === null) throw badFile(`${name} has nested scales, but its state has no nested_offset`);
  return {
    codes: bytesView(take(`${name}.absmax`, arrays, 'U8', blocks)),
    absmax: storedF32(`${name}.nested_absmax`, arrays, blockCount(blocks, NESTED_BLOCK_SIZE)),
    map: storedF32(`${name}.nested_quant_map`, arrays, 256),
    offset: nestedOffset,
    blockSize: NESTED_BLOCK_SIZE,
  };
}

function storedCodes(
  name: string,
  arrays: ReadonlyMap<string, StoredArray>,
  byteCount: number,
): ArrayView<'u8'> {
  const array = arrays.get(name);
  if (!array) throw missing(name);
  const width = STORAGE_BYTES[array.dtype];
  if (width === undefined)
    throw badFile(
      `${name} must be one of ${Object.keys(STORAGE_BYTES).join(', ')}, but it is ${array.dtype}`,
    );
  if (array.bytes.length !== byteCount || elementCount(array.shape) * width !== byteCount) {
    throw badFile(
      `${name} must have ${byteCount} packed bytes, but it has ${array.bytes.length} (${array.dtype} ` +
        `${shapeText(array.shape)})`,
    );
  }
  return bytesView(array);
}

function storedF32(name: string, arrays: ReadonlyMap<string, StoredArray>, length: number): ArrayView<'f32'> {
  // a copy: the file's bytes may start anywhere
  const aligned = new Uint8Array(take(name, arrays, 'F32', length).bytes);
  return f32View([length], new Float32Array(aligned.buffer));
}

function take(
  name: string,
  arrays: ReadonlyMap<string, StoredArray>,
  dtype: 'U8' | 'F32',
  length: number,
): StoredArray {
  const array = arrays.get(name);
  if (!array) throw missing(name);
  const isRight =
    array.dtype === dtype &&
    sameShape(array.shape, [length]) &&
    array.bytes.length === length * STORAGE_BYTES[dtype];
  if (!isRight)
    throw badFile(
      `${name} must be ${dtype} [${length}], but it is ${array.dtype} ${shapeText(array.shape)} ` +
        `(${array.bytes.length} bytes)`,
    );
  return array;
}

const bytesView = ({ bytes }: StoredArray): ArrayView<'u8'> =>
  viewOf('u8', [bytes.length], new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length));

function stored(view: ArrayView<'u8'> | ArrayView<'f32'>): StoredArray {
  const values = hostData(view as ArrayView<'u8' | 'f32'>);
  return {
    dtype: view.dtype === 'u8' ? 'U8' : 'F32',
    shape: view.shape,
    bytes: new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
  };
}

const badFile = (problem: string): QdyloraError =>
  new QdyloraError('BAD_FILE', {
    where: 'bitsandbytes',
    problem,
    nextStep: 'Quantize the model again, or download it again.',
  });
const missing = (name: string): QdyloraError =>
  new QdyloraError('MISSING_TENSOR', {
    where: 'bitsandbytes',
    problem: `the file has no ${name}`,
    details: { name },
  });
