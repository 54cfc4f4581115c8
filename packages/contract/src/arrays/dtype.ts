/** Element types of arrays. File formats have more (see @qdylora/checkpoint). */
export type DType = 'f32' | 'bf16' | 'f16' | 'i32' | 'u8';

/** The floating point types of weights, activations and operands of products. */
export const FLOAT_DTYPES = ['f32', 'bf16', 'f16'] as const satisfies readonly DType[];
/** The name of a floating point type. */
export type FloatDType = (typeof FLOAT_DTYPES)[number];

/** The floating point types of two bytes. */
export type HalfDType = Exclude<FloatDType, 'f32'>;

/** Bytes of one element. */
export const DTYPE_BYTES: Readonly<Record<DType, number>> = { f32: 4, bf16: 2, f16: 2, i32: 4, u8: 1 };

/** True if `dtype` is the name of a floating point type. */
export const isFloatDType = (dtype: unknown): dtype is FloatDType =>
  (FLOAT_DTYPES as readonly unknown[]).includes(dtype);

/** The typed array that holds the elements of each type in host memory. */
export interface DataOf {
  f32: Float32Array<ArrayBufferLike>;
  /** bfloat16 bit patterns: the upper half of a float32. */
  bf16: Uint16Array<ArrayBufferLike>;
  /** IEEE half bit patterns. */
  f16: Uint16Array<ArrayBufferLike>;
  i32: Int32Array<ArrayBufferLike>;
  u8: Uint8Array<ArrayBufferLike>;
}

const CONSTRUCTORS = {
  f32: Float32Array,
  bf16: Uint16Array,
  f16: Uint16Array,
  i32: Int32Array,
  u8: Uint8Array,
};

const TAGS = {
  f32: 'Float32Array',
  bf16: 'Uint16Array',
  f16: 'Uint16Array',
  i32: 'Int32Array',
  u8: 'Uint8Array',
};

/** True if `dtype` is the name of an element type. */
export const isDType = (dtype: unknown): dtype is DType =>
  typeof dtype === 'string' && Object.hasOwn(DTYPE_BYTES, dtype);

/**
 * True if `data` is a typed array for elements of `dtype`, also one of another realm (a frame, a `vm`
 * context).
 */
export const isElementArray = (dtype: DType, data: unknown): boolean =>
  data instanceof CONSTRUCTORS[dtype] ||
  (ArrayBuffer.isView(data) &&
    (data as { [Symbol.toStringTag]?: string })[Symbol.toStringTag] === TAGS[dtype]);

/**
 * A typed array of `length` elements of `dtype` over `buffer`, or over new zeroed memory where it is null.
 */
export function typedArray<D extends DType>(
  dtype: D,
  buffer: ArrayBufferLike | null,
  byteOffset: number,
  length: number,
): DataOf[D] {
  const Constructor = CONSTRUCTORS[dtype];
  return (
    buffer === null ? new Constructor(length) : new Constructor(buffer as ArrayBuffer, byteOffset, length)
  ) as DataOf[D];
}
