import type { Backend } from '@qdylora/contract';
import { arraysOf, type QuantizationKind, type QuantizedMatrix } from '@qdylora/quant';
import type { Values } from '../weights/read-values.ts';
import { matrixQuantizer } from './matrix-quantizer.ts';
import type { Quantization } from './quantization.ts';

/**
 * Quantizes one matrix whose values are in memory, or are read at once, with a backend's kernels.
 *
 * The result outlives the open memory scope. Temporary arrays are allocated after it and released.
 *
 * @throws QdyloraError as `matrixQuantizer`
 * @example
 * const matrix = quantizeOn(backend, 'nf4', weights, [576, 576], { kind: 'nf4' });
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
