import { viewOf, type ArrayView, type DType, type Memory } from '@qdylora/contract';
import type { QuantizedMatrix } from './quantized-matrix.ts';
import { arraysOf } from './quantized-parts.ts';

/** The matrix in host memory: the matrix itself if it is there already, else a copy. */
export async function readMatrix(matrix: QuantizedMatrix, memory: Memory): Promise<QuantizedMatrix> {
  if (memory.space.isHost) return matrix;
  const read = async <D extends DType>(view: ArrayView<D>): Promise<ArrayView<D>> =>
    viewOf(view.dtype, view.shape, await memory.read(view));
  const { codes, levels, absmax, doubleQuantized } = matrix;
  return {
    ...matrix,
    codes: await read(codes),
    levels: await read(levels),
    absmax: absmax && (await read(absmax)),
    doubleQuantized: doubleQuantized && {
      ...doubleQuantized,
      codes: await read(doubleQuantized.codes),
      absmax: await read(doubleQuantized.absmax),
      map: await read(doubleQuantized.map),
    },
  };
}

/**
 * The matrix in host memory, for files: the matrix itself if it is there already, else a copy. The arrays on
 * the device are then released.
 */
export async function copyToHost(matrix: QuantizedMatrix, memory: Memory): Promise<QuantizedMatrix> {
  const copy = await readMatrix(matrix, memory);
  if (copy !== matrix) for (const view of arraysOf(matrix)) memory.release(view);
  return copy;
}
