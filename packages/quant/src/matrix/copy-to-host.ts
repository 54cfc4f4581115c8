import { viewOf, type ArrayView, type DType, type Memory } from '@qdylora/contract';
import type { QuantizedMatrix } from './quantized-matrix.ts';

/**
 * The matrix in host memory, for files: the matrix itself if it is there already, else a copy. The arrays on
 * the device are then released.
 */
export async function copyToHost(matrix: QuantizedMatrix, memory: Memory): Promise<QuantizedMatrix> {
  if (memory.space.isHost) return matrix;
  const moved = async <D extends DType>(view: ArrayView<D>): Promise<ArrayView<D>> => {
    const copy = viewOf(view.dtype, view.shape, await memory.read(view));
    memory.release(view);
    return copy;
  };
  const { codes, levels, absmax, doubleQuantized } = matrix;
  return {
    ...matrix,
    codes: await moved(codes),
    levels: await moved(levels),
    absmax: absmax && (await moved(absmax)),
    doubleQuantized: doubleQuantized && {
      ...doubleQuantized,
      codes: await moved(doubleQuantized.codes),
      absmax: await moved(doubleQuantized.absmax),
      map: await moved(doubleQuantized.map),
    },
  };
}
