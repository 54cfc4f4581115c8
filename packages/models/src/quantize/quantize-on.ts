import type { Backend } from '@qdylora/contract';
import { arraysOf, type QuantizedMatrix } from '@qdylora/quant';
import type { Values } from '../weights/read-values.ts';
import { matrixQuantizer } from './matrix-quantizer.ts';
import type { MatrixQuantization } from './quantization.ts';

/**
 * Quantizes one matrix whose values are in memory, or are read at once, with a backend's kernels.
 *
 * The result outlives the open memory scope. Temporary arrays are allocated after it and released.
 *
 * @throws QdyloraError as `matrixQuantizer`
 * @example
 * const matrix = await quantizeOn(backend, weights, [576, 576], { kind: 'nf4' });
 */
export async function quantizeOn(
  backend: Backend,
  values: Values,
  shape: readonly [number, number],
  quantization: MatrixQuantization,
): Promise<QuantizedMatrix> {
  const quantizer = matrixQuantizer(backend, shape, quantization);
  try {
    quantizer.add(values);
    const matrix = await quantizer.finish();
    backend.memory.persist(...arraysOf(matrix));
    return matrix;
  } catch (error) {
    quantizer.cancel();
    throw error;
  }
}
