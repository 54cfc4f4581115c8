import type { TensorEntry } from '@qdylora/checkpoint';
import { elementCount, type ArrayView, type Memory, type Shape } from '@qdylora/contract';

/** Numbers at hand, or a tensor of a checkpoint, whose numbers are read to where they shall lie. */
export type Values = Float32Array | Pick<TensorEntry, 'dtype' | 'byteLength' | 'readInto' | 'readFloat32Into'>;

/** Puts values into an array of the open scope: bfloat16 stays as it is stored unless `asFloat32`, everything else becomes float32. In host memory there is no copy in between. */
export function readValues(memory: Memory, values: Values, shape: Shape, asFloat32 = false): ArrayView<'f32'> | ArrayView<'bf16'> {
  if (!(values instanceof Float32Array) && values.dtype === 'BF16' && !asFloat32) {
    const view = memory.allocate('bf16', shape);
    fill(memory, view, (there) => values.readInto(new Uint8Array(there.buffer, there.byteOffset, values.byteLength)));
    return view;
  }
  const view = memory.allocate('f32', shape);
  if (values instanceof Float32Array) memory.write(view, values);
  else fill(memory, view, (there) => values.readFloat32Into(there));
  return view;
}

function fill<D extends 'f32' | 'bf16'>(memory: Memory, view: ArrayView<D>, read: (there: ArrayView<D>['data']) => void): void {
  const count = elementCount(view.shape);
  if (memory.isHost) return read(view.data.subarray(0, count) as ArrayView<D>['data']);
  const values = (view.dtype === 'bf16' ? new Uint16Array(count) : new Float32Array(count)) as ArrayView<D>['data'];
  read(values);
  memory.write(view, values);
}
