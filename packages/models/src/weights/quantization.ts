import type { Backend } from '@qdylora/contract';
import {
  arraysOf,
  tileMatrix,
  type QuantizationKind,
  type QuantizedMatrix,
  type ScaleRounding,
} from '@qdylora/quant';
import { matrixQuantizer } from './matrix-quantizer.ts';
import type { Values } from './read-values.ts';

/** How linear layers are stored: `none`, or 4 bits a weight. */
export interface Quantization {
  readonly kind: QuantizationKind | 'none';
  readonly doubleQuantization?: boolean;
  readonly blockSize?: number;
  /** How scales are rounded to 8 bits; `bitsandbytes` in host memory only. */
  readonly scaleRounding?: ScaleRounding;
}

/** The matrix as the backend's kernels read it fastest; its arrays are written over. */
export const arrangedFor = ({ packedLayout }: Backend, matrix: QuantizedMatrix): QuantizedMatrix =>
  packedLayout === 'tiles' ? tileMatrix(matrix, { inPlace: true }) : matrix;

/**
 * Quantizes one matrix whose values are all at hand, or read at once; see `matrixQuantizer`. What is made on
 * the way lies above the result and is given back.
 */
export function quantizeOn(
  backend: Backend,
  kind: QuantizationKind,
  values: Values,
  shape: readonly [number, number],
  quantization: Quantization,
): QuantizedMatrix {
  const { memory } = backend;
  const matrix = memory.scoped(() => {
    const quantizer = matrixQuantizer(backend, kind, shape, quantization);
    quantizer.add(values);
    return quantizer.finish();
  }, arraysOf);
  memory.persist(...arraysOf(matrix));
  return matrix;
}
