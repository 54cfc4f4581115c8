import { QdyloraError, type Backend, type PackedWeight } from '@qdylora/contract';
import {
  leveledWeight,
  moveLevelsAndScales,
  packedWeight,
  readMatrix,
  STORED_LEVEL,
  threeBitMatrix,
  tileMatrix,
  untileMatrix,
  type QuantizedMatrix,
} from '@qdylora/quant';
import { decodedWeight } from '@qdylora/tensor';
import { readValues, type Values } from '../weights/read-values.ts';
import type { Quantization } from './quantization.ts';
import { quantizeOn } from './quantize-on.ts';

/**
 * A quantized matrix as the weight of a layer, with the arrays of the other levels that `quantization` lists.
 * They are computed in host memory, from the numbers that were quantized.
 *
 * @param values what was quantized; null for a matrix that a checkpoint stores in 4 bits
 * @throws QdyloraError UNSUPPORTED for level 8 without `values`: its residual is computed from them
 */
export async function quantizeLevels(
  backend: Backend,
  matrix: QuantizedMatrix,
  values: Values | null,
  quantization: Quantization,
): Promise<PackedWeight> {
  if (isOneLevel(quantization)) return packedWeight(matrix);
  const { levels = [STORED_LEVEL] } = quantization;
  const decoded = await decodedWeight(packedWeight(matrix), backend);
  const weights = values ? await weightsOf(backend, values, matrix.shape) : decoded;
  if (levels.includes(8) && !values) throw noResidual();
  return leveledWeight(matrix, {
    threeBits: levels.includes(3) ? await threeBits(backend, matrix, weights) : undefined,
    residual: levels.includes(8)
      ? await quantizeOn(
          backend,
          weights.map((weight, i) => weight - decoded[i]),
          matrix.shape,
          { ...quantization, kind: 'nf4' },
        )
      : undefined,
  });
}

/** Whether a matrix has no arrays beside those of its 4 bits. */
export const isOneLevel = ({ levels = [STORED_LEVEL] }: Quantization): boolean =>
  levels.every((level) => level === STORED_LEVEL);

const noResidual = (): QdyloraError =>
  new QdyloraError('UNSUPPORTED', {
    where: 'quantization_levels',
    problem: 'The checkpoint is in 4 bits, so nothing is left over for a level of 8 bits',
    nextStep: 'Start from the unquantized checkpoint, or leave out level 8.',
  });

/** Values as float32 in host memory: [rows · cols] */
async function weightsOf(
  backend: Backend,
  values: Values,
  shape: readonly [number, number],
): Promise<Float32Array> {
  if (values instanceof Float32Array) return values;
  const { memory } = backend;
  const view = memory.scoped(
    () => readValues(backend, values, shape, true),
    (read) => [read],
  );
  const weights = await memory.read(view);
  if (!('storage' in values)) memory.release(view);
  return weights as Float32Array;
}

/** The 3-bit matrix in the backend's memory, around the codes that are there. */
async function threeBits(
  { memory }: Backend,
  matrix: QuantizedMatrix,
  weights: Float32Array,
): Promise<QuantizedMatrix> {
  const rowMajor = threeBitMatrix(untileMatrix(await readMatrix(matrix, memory)), weights);
  const arranged = matrix.tiled ? tileMatrix(rowMajor) : rowMajor;
  return { ...matrix, ...moveLevelsAndScales(arranged, memory) };
}
