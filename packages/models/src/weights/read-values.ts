import type { TensorEntry } from '@qdylora/checkpoint';
import { runOp, type ArrayView, type Backend, type Shape } from '@qdylora/contract';
import { dequantizeGgml, GGML_BLOCKS } from '@qdylora/quant';

/** Numbers at hand, in memory already, or a tensor of a checkpoint, whose numbers are read to where they shall lie. */
export type Values = Float32Array | ArrayView<'f32'> | ArrayView<'bf16'> | Pick<TensorEntry, 'dtype' | 'byteLength' | 'readInto' | 'readFloat32Into'>;

/**
 * Puts values into an array of the open scope: bfloat16 stays as it is stored unless `asFloat32`, everything else becomes float32; packed blocks are unpacked by the backend's kernel.
 * In host memory there is no copy in between.
 */
export function readValues(backend: Backend, values: Values, shape: Shape, asFloat32 = false): ArrayView<'f32'> | ArrayView<'bf16'> {
  const { memory } = backend;
  if ('strides' in values) return values;
  if (!(values instanceof Float32Array) && values.dtype === 'BF16' && !asFloat32) {
    const view = memory.allocate('bf16', shape);
    memory.fill(view, (there) => values.readInto(new Uint8Array(there.buffer, there.byteOffset, values.byteLength)));
    return view;
  }
  const view = memory.allocate('f32', shape);
  if (values instanceof Float32Array) memory.write(view, values);
  else if (GGML_BLOCKS.has(values.dtype)) unpackInto(backend, view, values);
  else memory.fill(view, (there) => values.readFloat32Into(there));
  return view;
}

function unpackInto(backend: Backend, values: ArrayView<'f32'>, { dtype: type, byteLength, readInto }: Pick<TensorEntry, 'dtype' | 'byteLength' | 'readInto'>): void {
  const { memory } = backend;
  memory.scoped(() => {
    const blocks = memory.allocate('u8', [byteLength]);
    memory.fill(blocks, (there) => readInto(there));
    runOp(backend, dequantizeGgml, { blocks }, { type, shape: values.shape }, { values });
  });
}
