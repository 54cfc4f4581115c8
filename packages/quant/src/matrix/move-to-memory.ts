import { hostData, type ArrayView, type DType, type Memory } from '@qdylora/contract';
import type { QuantizedMatrix } from './quantized-matrix.ts';

/** Copies the arrays of a matrix from host memory to a backend's memory, where they live until `release`. */
export const moveToMemory = (matrix: QuantizedMatrix, memory: Memory): QuantizedMatrix => ({
  ...matrix,
  codes: moveView(matrix.codes, memory),
  ...moveLevelsAndScales(matrix, memory),
});

/** The same for all arrays but the codes, for a matrix whose codes are there already. */
export function moveLevelsAndScales(
  { levels, absmax, doubleQuantized: nested }: QuantizedMatrix,
  memory: Memory,
): Pick<QuantizedMatrix, 'levels' | 'absmax' | 'doubleQuantized'> {
  return {
    levels: moveView(levels, memory),
    absmax: absmax && moveView(absmax, memory),
    doubleQuantized: nested && {
      ...nested,
      codes: moveView(nested.codes, memory),
      absmax: moveView(nested.absmax, memory),
      map: moveView(nested.map, memory),
    },
  };
}

function moveView<D extends DType>(view: ArrayView<D>, memory: Memory): ArrayView<D> {
  const moved = memory.allocate(view.dtype, view.shape);
  memory.persist(moved);
  memory.write(moved, hostData(view));
  return moved;
}
