import type { TensorEntry } from '@qdylora/checkpoint';
import type { ArrayView, Memory, Shape } from '@qdylora/contract';

/** Numbers at hand, in memory already, or a tensor of a checkpoint, whose numbers are read to where they shall lie. */
export type Values = Float32Array | ArrayView<'f32'> | ArrayView<'bf16'> | Pick<TensorEntry, 'dtype' | 'byteLength' | 'readInto' | 'readFloat32Into'>;

/** Puts values into an array of the open scope: bfloat16 stays as it is stored unless `asFloat32`, everything else becomes float32. In host memory there is no copy in between. */
export function readValues(memory: Memory, values: Values, shape: Shape, asFloat32 = false): ArrayView<'f32'> | ArrayView<'bf16'> {
  if ('strides' in values) return values;
  if (!(values instanceof Float32Array) && values.dtype === 'BF16' && !asFloat32) {
    const view = memory.allocate('bf16', shape);
    memory.fill(view, (there) => values.readInto(new Uint8Array(there.buffer, there.byteOffset, values.byteLength)));
    return view;
  }
  const view = memory.allocate('f32', shape);
  if (values instanceof Float32Array) memory.write(view, values);
  else memory.fill(view, (there) => values.readFloat32Into(there));
  return view;
}
