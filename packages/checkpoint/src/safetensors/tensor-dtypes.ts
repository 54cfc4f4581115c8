/**
 * Bits per element of every dtype, in the format's order. A writer lays tensors out from the last of these to
 * the first, so the widest elements come first and all are aligned.
 */
export const SAFETENSORS_DTYPE_BITS: Readonly<Record<string, number>> = Object.freeze({
  __proto__: null,
  BOOL: 8,
  F4: 4,
  F6_E2M3: 6,
  F6_E3M2: 6,
  U8: 8,
  I8: 8,
  F8_E5M2: 8,
  F8_E4M3: 8,
  F8_E8M0: 8,
  F8_E4M3FNUZ: 8,
  F8_E5M2FNUZ: 8,
  I16: 16,
  U16: 16,
  F16: 16,
  BF16: 16,
  I32: 32,
  U32: 32,
  F32: 32,
  C64: 64,
  F64: 64,
  I64: 64,
  U64: 64,
} as unknown as Record<string, number>);

/** All dtype names, in the format's order. */
export const SAFETENSORS_DTYPES: readonly string[] = Object.keys(SAFETENSORS_DTYPE_BITS);
