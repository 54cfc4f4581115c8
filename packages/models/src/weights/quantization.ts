import { elementsOf, f32View, runOp, viewOf, type ArrayView, type Backend } from '@qdylora/contract';
import { doubleQuantizeAsBitsandbytes, levelsOf, moveToMemory, NESTED_BLOCK_SIZE, quantizeBlockwise, quantizedMatrix, quantizeScales, signedDynamicMap, tileMatrix, type QuantizationKind, type QuantizedMatrix, type ScaleRounding } from '@qdylora/quant';
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

/** Quantizes one matrix with the backend's kernels, from bfloat16 as it is stored; the result lives in its memory, and the values only while this runs. */
export function quantizeOn(backend: Backend, kind: QuantizationKind, values: Values, shape: readonly [number, number], { doubleQuantization = true, blockSize = 64, scaleRounding = 'nearest' }: Quantization): QuantizedMatrix {
  const { memory } = backend;
  return memory.scoped(() => {
    const staged = readValues(backend, values, [shape[0] * shape[1]]);
    const { codes, absmax } = runOp(backend, quantizeBlockwise, { values: staged }, { kind, blockSize });
    const nested = doubleQuantization ? nestedScales(backend, absmax, scaleRounding) : null;
    return moveToMemory(arrangedFor(backend, quantizedMatrix({
      kind, shape: [shape[0], shape[1]], blockSize, codes, levels: f32View([16], levelsOf(kind)), absmax: nested ? null : absmax,
      doubleQuantized: nested && { ...nested, map: f32View([256], signedDynamicMap()), blockSize: NESTED_BLOCK_SIZE },
    })), memory);
  });
}

function nestedScales(backend: Backend, absmax: ArrayView<'f32'>, rounding: ScaleRounding): { codes: ArrayView<'u8'>; absmax: ArrayView<'f32'>; offset: number } {
  if (rounding === 'nearest') {
    const { codes, nestedAbsmax, offset } = runOp(backend, quantizeScales, { absmax }, {});
    return { codes, absmax: nestedAbsmax, offset: elementsOf(offset)[0]! };
  }
  const { codes, absmax: nested, offset } = doubleQuantizeAsBitsandbytes(elementsOf(absmax));
  return { codes: viewOf('u8', [codes.length], codes), absmax: f32View([nested.length], nested), offset };
}
