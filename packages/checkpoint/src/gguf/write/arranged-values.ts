import { QdyloraError } from '@qdylora/contract';
import { printedName } from '../../bad-file.ts';
import { orderOf, type Heads, type RowOrder } from '../tensor-layout.ts';
import type { GgufPlace } from './gguf-place.ts';

/**
 * The row order that llama.cpp expects: row r of the checkpoint is written at row `order(r)`; undefined if
 * rows are unchanged. @throws QdyloraError BAD_SHAPE.
 */
export function fileRowOrder({ name, layout }: GgufPlace, rows: number, heads: Heads): RowOrder | undefined {
  const headSize = (parts: number, multipleOf: number): number => {
    if (rows % (parts * multipleOf) === 0) return rows / parts;
    throw new QdyloraError('BAD_SHAPE', {
      where: 'gguf',
      problem: `${printedName(name)} has ${rows} rows, which are not ${parts} heads of one size.`,
      nextStep: 'Does the config belong to these weights?',
    });
  };
  return orderOf(layout, heads, headSize);
}

/** Reorders rows. values: [rows, columns] */
export function reorderedRows(values: Float32Array, rows: number, order: RowOrder | undefined): Float32Array {
  if (!order) return values;
  const columns = values.length / rows;
  const arranged = new Float32Array(values.length);
  for (let row = 0; row < rows; row++)
    arranged.set(values.subarray(row * columns, (row + 1) * columns), order(row) * columns);
  return arranged;
}

/** Transposes [rows, columns] → [columns, rows]. */
export function transposedValues(values: Float32Array, rows: number): Float32Array {
  const columns = values.length / rows;
  const turned = new Float32Array(values.length);
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++)
      turned[column * rows + row] = values[row * columns + column];
  return turned;
}
