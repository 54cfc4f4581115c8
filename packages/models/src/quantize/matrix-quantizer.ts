import {
  assertArgument,
  checkOptions,
  elementCount,
  QdyloraError,
  rowsOf,
  runOp,
  type ArrayView,
  type Backend,
  type Memory,
} from '@qdylora/contract';
import {
  arraysOf,
  doubleQuantizeAsBitsandbytes,
  levelsOf,
  quantizeBlockwise,
  quantizedMatrix,
  quantizeScales,
  shapeMatrix,
  signedDynamicMap,
  toTiles,
  type DoubleQuantizedScales,
  type QuantizedMatrix,
  type ScaleRounding,
} from '@qdylora/quant';
import { readValues, type Values } from '../weights/read-values.ts';
import { MATRIX_QUANTIZATION_RULES, type MatrixQuantization } from './quantization.ts';

/** Quantizes one matrix as its values arrive, piece by piece. */
export interface MatrixQuantizer {
  /** True when all values of the matrix have been added. */
  readonly isFull: boolean;
  /**
   * Adds the next values: whole blocks (in tiles whole bands of 32 rows), except at the end. A tensor that is
   * still to be read gives all the remaining values. `values` is not kept.
   */
  add(values: Values): void;
  /** @throws QdyloraError BAD_ARGUMENT unless all values have been added */
  finish(): Promise<QuantizedMatrix>;
  /** Releases everything, where there will be no matrix. */
  cancel(): void;
}

/**
 * Quantizes one matrix with a backend's kernels, from bfloat16 without conversion.
 *
 * The result is allocated in the memory scope that is open during the call, in its final place.
 *
 * @param shape [out, in]
 * @throws QdyloraError BAD_ARGUMENT for unknown or wrong keys of `quantization`; `add` throws NON_FINITE
 * @example
 * const quantizer = matrixQuantizer(backend, [4096, 4096], { kind: 'nf4' });
 * while (!quantizer.isFull) quantizer.add(await nextRows());
 * const matrix = await quantizer.finish();
 */
export function matrixQuantizer(
  backend: Backend,
  shape: readonly [number, number],
  quantization: MatrixQuantization,
): MatrixQuantizer {
  checkOptions('quantization', quantization, MATRIX_QUANTIZATION_RULES);
  const { kind, doubleQuantization = true, blockSize = 64, scaleRounding = 'nearest' } = quantization;
  const { memory } = backend;
  const weights = elementCount(shape);
  const matrix = shapeMatrix({
    kind,
    shape: [shape[0], shape[1]],
    blockSize,
    doubleQuantization,
    tiled: backend.packedLayout === 'tiles',
    array: (dtype, size) => memory.allocate(dtype, size),
  });
  const absmax = matrix.absmax ?? memory.allocate('f32', [Math.ceil(weights / blockSize)]);
  let done = 0;
  return {
    get isFull() {
      return done === weights;
    },
    add(values) {
      const end = done + countOf(values, weights - done);
      quantizeRange(backend, matrix, absmax, { values, from: done, to: end });
      done = end;
    },
    async finish() {
      assertArgument(done === weights, 'matrix-quantizer', `${done} of ${weights} values have been added`);
      return finishMatrix(backend, matrix, absmax, scaleRounding);
    },
    cancel() {
      for (const view of [...arraysOf(matrix), absmax]) memory.release(view);
    },
  };
}

/** @param remaining values of the matrix that are to come, which a tensor of a file has */
const countOf = (values: Values, remaining: number): number =>
  values instanceof Float32Array
    ? values.length
    : 'storage' in values
      ? elementCount(values.shape)
      : remaining;

/** Weights from … to − 1 of a matrix; `from` is the begin of a block. */
interface WeightRange {
  readonly values: Values;
  readonly from: number;
  readonly to: number;
}

/** Writes the codes and block scales of a range of weights. absmax: [blocks] */
function quantizeRange(
  backend: Backend,
  { kind, shape, blockSize, codes, tiled }: QuantizedMatrix,
  absmax: ArrayView<'f32'>,
  { values, from, to }: WeightRange,
): void {
  backend.memory.scoped(() => {
    const outputs = {
      codes: rowsOf(codes, from / 2, Math.ceil(to / 2)),
      absmax: rowsOf(absmax, from / blockSize, Math.ceil(to / blockSize)),
    };
    runOp(
      backend,
      quantizeBlockwise,
      { values: readValues(backend, values, [to - from]) },
      { kind, blockSize, ...(tiled && { tileColumns: shape[1] / blockSize }) },
      outputs,
    );
  });
}

/** Fills the tables, quantizes the scales, and arranges them in tiles where the codes are. */
async function finishMatrix(
  backend: Backend,
  matrix: QuantizedMatrix,
  absmax: ArrayView<'f32'>,
  scaleRounding: ScaleRounding,
): Promise<QuantizedMatrix> {
  const { memory } = backend;
  const { kind, shape, levels, doubleQuantized: nested, tiled } = matrix;
  if (!memory.space.isHost) await assertFiniteScales(memory, absmax);
  memory.write(levels, levelsOf(kind));
  const scales = nested && {
    ...nested,
    offset: await nestedScales(backend, absmax, nested, scaleRounding),
  };
  if (tiled) {
    if (scales) toTiles(scales.codes, shape, 'scales', scales.codes);
    else toTiles(absmax, shape, 'scales', absmax);
  }
  if (nested) memory.release(absmax);
  return quantizedMatrix({ ...matrix, doubleQuantized: scales });
}

/** On a device the kernels do not look for weights that are not finite, and `quantizedMatrix` cannot. */
async function assertFiniteScales(memory: Memory, absmax: ArrayView<'f32'>): Promise<void> {
  const values = await memory.read(absmax);
  const block = values.findIndex((value) => !Number.isFinite(value));
  if (block >= 0)
    throw new QdyloraError('NON_FINITE', {
      where: 'quantize',
      problem: `Block ${block} holds a weight that is ${values[block]}`,
      nextStep: 'The file is damaged, or the model was saved after training had failed.',
      details: { block },
    });
}

/** Fills the codes, scales and map of double quantization, and returns the offset. */
async function nestedScales(
  backend: Backend,
  absmax: ArrayView<'f32'>,
  { codes, absmax: nestedAbsmax, map }: DoubleQuantizedScales,
  rounding: ScaleRounding,
): Promise<number> {
  const { memory } = backend;
  memory.write(map, signedDynamicMap());
  if (rounding === 'nearest') {
    const { offset } = runOp(backend, quantizeScales, { absmax }, {}, { codes, nestedAbsmax });
    const [value] = await memory.read(offset);
    memory.release(offset);
    return value!;
  }
  const theirs = doubleQuantizeAsBitsandbytes(await memory.read(absmax));
  memory.write(codes, theirs.codes);
  memory.write(nestedAbsmax, theirs.absmax);
  return theirs.offset;
}
