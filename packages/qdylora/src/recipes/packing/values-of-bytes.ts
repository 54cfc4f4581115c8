import { viewOf, type ArrayView } from '@qdylora/contract';

/** Dtypes that lie in files as kernels read them. */
const AS_STORED = {
  BF16: { dtype: 'bf16', Words: Uint16Array },
  F32: { dtype: 'f32', Words: Float32Array },
} as const;

export type StoredDtype = keyof typeof AS_STORED;

export const isAsStored = (dtype: string): dtype is StoredDtype => Object.hasOwn(AS_STORED, dtype);

/**
 * The bytes of a file as numbers, in place. Bytes at an unaligned offset are moved back to the word boundary
 * before it, which must belong to the same buffer.
 */
export function valuesOfBytes(stored: StoredDtype, bytes: Uint8Array): ArrayView<'bf16'> | ArrayView<'f32'> {
  const { dtype, Words } = AS_STORED[stored];
  const width = Words.BYTES_PER_ELEMENT;
  const start = bytes.byteOffset - (bytes.byteOffset % width);
  const count = bytes.length / width;
  if (start < bytes.byteOffset) new Uint8Array(bytes.buffer, start, bytes.length).set(bytes);
  return viewOf(dtype, [count], new Words(bytes.buffer as ArrayBuffer, start, count)) as
    ArrayView<'bf16'> | ArrayView<'f32'>;
}
