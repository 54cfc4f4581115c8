import { setImmediate } from 'node:timers/promises';
import type { CheckpointConfig, TensorToWrite } from '@qdylora/checkpoint';
import {
  elementCount,
  hostData,
  QdyloraError,
  wrapBackend,
  type Backend,
  type Memory,
} from '@qdylora/contract';
import {
  familyOf,
  matrixQuantizer,
  quantizeOn,
  withWeightName,
  type MatrixQuantization,
  type MatrixQuantizer,
  type Values,
} from '@qdylora/models';
import {
  arraysOf,
  copyToHost,
  serializeBitsandbytes,
  type QuantizationKind,
  type QuantizedMatrix,
  type ScaleRounding,
  type SourceDtype,
} from '@qdylora/quant';
import { valuesOfBytes, type StoredDtype } from './values-of-bytes.ts';

/** How matrices are packed. */
export interface Packing {
  readonly quantization: QuantizationKind;
  readonly doubleQuantization: boolean;
  readonly quantizationBlockSize: number;
  readonly scaleRounding?: ScaleRounding;
}

/** How one matrix is packed. */
export interface MatrixPacking extends Packing {
  /** Name of the weight, for errors. */
  readonly name: string;
}

/**
 * Quantizes a matrix to 4 bits, in the order of files, in host memory.
 *
 * @throws QdyloraError NON_FINITE with the weight's name
 */
export async function packMatrix(
  backend: Backend,
  values: Values,
  shape: readonly [number, number],
  packing: MatrixPacking,
): Promise<QuantizedMatrix> {
  try {
    const rowMajor = wrapBackend(backend, { packedLayout: undefined });
    const matrix = await quantizeOn(rowMajor, values, shape, matrixQuantizationOf(packing));
    return await copyToHost(matrix, backend.memory);
  } catch (error) {
    throw withWeightName(error, packing.name);
  }
}

const matrixQuantizationOf = (packing: Packing): MatrixQuantization => ({
  kind: packing.quantization,
  doubleQuantization: packing.doubleQuantization,
  blockSize: packing.quantizationBlockSize,
  scaleRounding: packing.scaleRounding,
});

/** A matrix whose bytes arrive in stretches. */
export interface ArrivingMatrix {
  readonly dtype: StoredDtype;
  readonly shape: readonly [number, number];
  readonly stretches: AsyncIterator<Uint8Array>;
}

/**
 * The same for a matrix that arrives; takes the stretches of this matrix alone. The event loop runs after
 * each.
 */
export async function packArriving(
  backend: Backend,
  { dtype, shape, stretches }: ArrivingMatrix,
  packing: MatrixPacking,
): Promise<QuantizedMatrix> {
  const rowMajor = wrapBackend(backend, { packedLayout: undefined });
  const quantizer = matrixQuantizer(rowMajor, shape, matrixQuantizationOf(packing));
  try {
    for (let done = 0; !quantizer.isFull;) {
      const values = valuesOfBytes(dtype, (await stretches.next()).value!);
      addValues(quantizer, values, done);
      done += elementCount(values.shape);
      await setImmediate();
    }
    return await copyToHost(await quantizer.finish(), backend.memory);
  } catch (cause) {
    quantizer.cancel();
    throw withWeightName(cause, packing.name);
  }
}

/**
 * Adds values to a matrix. @throws QdyloraError NON_FINITE with the index in the whole matrix
 *
 * @param before values of the matrix in earlier stretches
 */
function addValues(
  quantizer: MatrixQuantizer,
  values: ReturnType<typeof valuesOfBytes>,
  before: number,
): void {
  try {
    quantizer.add(values);
  } catch (error) {
    if (!QdyloraError.isInstance(error) || error.code !== 'NON_FINITE') throw error;
    const { index, value } = error.details;
    if (typeof index !== 'number' || typeof value !== 'number') throw error;
    throw new QdyloraError('NON_FINITE', {
      where: error.where,
      problem: `the weights must be finite (got ${value} at index ${before + index}, row-major)`,
      nextStep: error.nextStep,
      details: { index: before + index, value },
      cause: error,
    });
  }
}

/** Releases the arrays of a matrix. */
export function releaseMatrix(matrix: QuantizedMatrix, memory: Memory): void {
  for (const view of arraysOf(matrix)) memory.release(view);
}

/**
 * The arrays of a packed weight, named as by bitsandbytes. Each array in `memory` is released after it was
 * written.
 */
export const packedTensors = (
  name: string,
  matrix: QuantizedMatrix,
  sourceDtype: SourceDtype,
  memory: Memory,
): TensorToWrite[] =>
  [...serializeBitsandbytes(name, matrix, { sourceDtype })].map(([key, { dtype, shape, bytes }]) => ({
    name: key,
    dtype,
    shape,
    bytes: () => writtenOnce(bytes, matrix, memory),
  }));

function* writtenOnce(bytes: Uint8Array, matrix: QuantizedMatrix, memory: Memory): Generator<Uint8Array> {
  yield bytes;
  const writtenView = arraysOf(matrix).find(
    (view) => hostData(view).buffer === bytes.buffer && hostData(view).byteOffset === bytes.byteOffset,
  );
  if (writtenView) memory.release(writtenView);
}

/**
 * `quantization_config` for transformers. The head stays as it is, under its name in files and its name in
 * transformers. `llm_int8_threshold` is left out, because JSON cannot express that 6 is a float.
 */
export const quantizationConfig = (
  { quantization, doubleQuantization }: Packing,
  { modelType }: Pick<CheckpointConfig, 'modelType'>,
): Record<string, unknown> => ({
  quant_method: 'bitsandbytes',
  load_in_4bit: true,
  load_in_8bit: false,
  bnb_4bit_quant_type: quantization,
  bnb_4bit_use_double_quant: doubleQuantization,
  bnb_4bit_compute_dtype: 'bfloat16',
  bnb_4bit_quant_storage: 'uint8',
  llm_int8_skip_modules: [...new Set(['lm_head', familyOf(modelType, 'quantization_config').names.head])],
  llm_int8_has_fp16_weight: false,
  llm_int8_enable_fp32_cpu_offload: false,
});
