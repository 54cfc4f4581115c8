import { hostData, type ArrayView, type DType, type Memory } from '@qdylora/contract';
import type { QuantizedMatrix } from './quantized-matrix.ts';

/** Copies the arrays of a matrix from host memory to a backend's memory, where they live until `release`. */
export function moveToMemory(matrix: QuantizedMatrix, memory: Memory): QuantizedMatrix {
  const move = <D extends DType>(view: ArrayView<D>): ArrayView<D> => {
    const there = memory.allocate(view.dtype, view.shape);
    memory.persist(there);
    memory.write(there, hostData(view));
    return there;
  };
  const { codes, levels, absmax, doubleQuantized: nested } = matrix;
  return {
    ...matrix,
    codes: move(codes),
    levels: move(levels),
    absmax: absmax && move(absmax),
    doubleQuantized: nested && {
      ...nested,
      codes: move(nested.codes),
      absmax: move(nested.absmax),
      map: move(nested.map),
    },
  };
}
