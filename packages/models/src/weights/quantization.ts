import { elementsOf, runOp, type ArrayView, type Backend } from '@qdylora/contract';
import { arraysOf, doubleQuantizeAsBitsandbytes, levelsOf, quantizeBlockwise, quantizedMatrix, quantizeScales, shapeMatrix, signedDynamicMap, tileMatrix, toTiles, type DoubleQuantizedScales, type QuantizationKind, type QuantizedMatrix, type ScaleRounding } from '@qdylora/quant';
import { readValues, type Values } from './read-values.ts';

/** How linear layers are stored: `none`, or 4 bits a weight. */
export interface Quantization {
  readonly kind: QuantizationKind | 'none';
  readonly doubleQuantization?: boolean;
  readonly blockSize?: number;
  /** How scales are rounded to 8 bits; `bitsandbytes` in host memory only. */
  readonly scaleRounding?: ScaleRounding;
}

/** The matrix as the backend's kernels read it fastest; its arrays are written over. */
export const arrangedFor = ({ packedLayout }: Backend, matrix: QuantizedMatrix): QuantizedMatrix => (packedLayout === 'tiles' ? tileMatrix(matrix, { inPlace: true }) : matrix);

/**
 * Quantizes one matrix with the backend's kernels, from bfloat16 as it is stored. The result lives in its memory, where it is made: nothing is copied, and what is made on the way lies above it
 * and is given back. The values are there only while this runs.
 */
export function quantizeOn(backend: Backend, kind: QuantizationKind, values: Values, shape: readonly [number, number], { doubleQuantization = true, blockSize = 64, scaleRounding = 'nearest' }: Quantization): QuantizedMatrix {
  const { memory } = backend;
  const matrix = memory.scoped(() => {
    const { codes, levels, absmax: plain, doubleQuantized: nested, tiled } = shapeMatrix({ kind, shape, blockSize, doubleQuantization, tiled: backend.packedLayout === 'tiles', array: (dtype, of) => memory.allocate(dtype, of) });
    const { absmax } = runOp(backend, quantizeBlockwise, { values: readValues(backend, values, [shape[0] * shape[1]]) }, { kind, blockSize, ...(tiled && { tileColumns: shape[1] / blockSize }) }, { codes, ...(plain && { absmax: plain }) });
    memory.write(levels, levelsOf(kind));
    const scales = nested && { ...nested, offset: nestedScales(backend, absmax, nested, scaleRounding) };
    if (tiled) { if (scales) toTiles(scales.codes, shape, 'scales', scales.codes); else toTiles(absmax, shape, 'scales', absmax); }
    return quantizedMatrix({ kind, shape: [shape[0], shape[1]], blockSize, codes, levels, absmax: plain, doubleQuantized: scales, tiled });
  }, arraysOf);
  memory.persist(...arraysOf(matrix));
  return matrix;
}

/** Fills the codes, scales and map of double quantization; returns the offset. */
function nestedScales(backend: Backend, absmax: ArrayView<'f32'>, { codes, absmax: nestedAbsmax, map }: DoubleQuantizedScales, rounding: ScaleRounding): number {
  const { memory } = backend;
  memory.write(map, signedDynamicMap());
  if (rounding === 'nearest') return elementsOf(runOp(backend, quantizeScales, { absmax }, {}, { codes, nestedAbsmax }).offset)[0]!;
  const theirs = doubleQuantizeAsBitsandbytes(elementsOf(absmax));
  memory.write(codes, theirs.codes);
  memory.write(nestedAbsmax, theirs.absmax);
  return theirs.offset;
}
