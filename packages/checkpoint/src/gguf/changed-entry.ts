import { assertArgument } from '@qdylora/contract';
import { printedName } from '../bad-file.ts';
import { allocateBytes } from '../read/byte-source.ts';
import type { TensorEntry } from '../tensor-entry.ts';

/** Computes `target` from the values of the file. */
type Fill = (values: Float32Array, target: Float32Array) => void;

/** A norm's weight minus the 1 that the converter added (in float32, where it was already rounded). */
export const oneLess = (entry: TensorEntry): TensorEntry =>
  changedEntry(entry, entry.shape, (values, target) => {
    for (let i = 0; i < values.length; i++) target[i] = values[i] - 1;
  });

/**
 * Transposes a matrix, [out, in] → [in, out]. Blocks run along the rows of the file, so packed values become
 * float32.
 */
export function transposedEntry(entry: TensorEntry): TensorEntry {
  const [rows, columns] = entry.shape as readonly [number, number];
  return changedEntry(entry, [columns, rows], (values, target) => {
    for (let row = 0; row < rows; row++)
      for (let column = 0; column < columns; column++)
        target[column * rows + row] = values[row * columns + column];
  });
}

/** An entry with float32 values that are computed from another entry; its bytes are those of the values. */
function changedEntry(entry: TensorEntry, shape: readonly number[], fill: Fill): TensorEntry {
  const { name } = entry;
  const count = shape.reduce((product, size) => product * size, 1);
  const byteLength = 4 * count;
  const readFloat32Into = (target: Float32Array): void => {
    assertArgument(
      target.length === count,
      'gguf',
      `The ${count} values of ${printedName(name)} do not fit into ${target.length}`,
    );
    fill(entry.readFloat32(), target);
  };
  const readFloat32 = (): Float32Array<ArrayBuffer> => {
    const values = new Float32Array(allocateBytes(byteLength).buffer);
    readFloat32Into(values);
    return values;
  };
  return {
    name,
    dtype: 'F32',
    shape,
    byteLength,
    readFloat32,
    readFloat32Into,
    readBytes: () => new Uint8Array(readFloat32().buffer),
    readInto(target, byteOffset = 0) {
      assertArgument(
        byteOffset >= 0 && byteOffset + target.length <= byteLength,
        'gguf',
        `The bytes ${byteOffset}…${byteOffset + target.length} are not within 0…${byteLength} of ` +
          `${printedName(name)}`,
      );
      target.set(new Uint8Array(readFloat32().buffer, byteOffset, target.length));
    },
  };
}
