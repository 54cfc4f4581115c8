import { assertArgument } from '@qdylora/contract';
import type { TensorSource } from '../write/readable-bytes.ts';
import type { TensorToStream, TensorToWrite } from './write-file.ts';

/**
 * Arrays with an unambiguous dtype. A Uint16Array may hold U16, F16 or BF16, so such tensors are written as
 * `{ dtype, bytes }`.
 */
const DTYPES = [
  [Float32Array, 'F32'],
  [Float64Array, 'F64'],
  [Int32Array, 'I32'],
  [Uint32Array, 'U32'],
  [Uint8Array, 'U8'],
  [Int8Array, 'I8'],
  [Int16Array, 'I16'],
  [BigInt64Array, 'I64'],
  [BigUint64Array, 'U64'],
] as const;

/** An array that `tensorOf` writes: its class alone determines the safetensors dtype. */
export type WritableArray =
  | Float32Array
  | Float64Array
  | Int32Array
  | Uint32Array
  | Uint8Array
  | Int8Array
  | Int16Array
  | BigInt64Array
  | BigUint64Array;

/**
 * A tensor to write from an array, without a copy. @throws QdyloraError BAD_ARGUMENT for another kind of
 * array.
 */
export function tensorOf(name: string, shape: readonly number[], values: WritableArray): TensorToWrite {
  const found = DTYPES.find(([Constructor]) => values instanceof Constructor);
  assertArgument(
    found,
    'safetensors',
    `${name} must be one of ${DTYPES.map(([Constructor]) => Constructor.name).join(', ')} ` +
      `(got ${Object.prototype.toString.call(values)})`,
  );
  return {
    name,
    dtype: found[1],
    shape,
    bytes: new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
  };
}

/** A tensor to write that is read in pieces, for example out of device memory. */
export const tensorFrom = (name: string, source: TensorSource): TensorToStream => ({
  name,
  dtype: source.dtype,
  shape: source.shape,
  bytes: source,
});
