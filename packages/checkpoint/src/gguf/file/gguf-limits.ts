/**
 * Supported versions of the format. 2 and 3 differ only in byte order, which must be little-endian here; 1
 * has 32-bit lengths and is extinct.
 */
export const GGUF_VERSIONS: readonly number[] = [2, 3];

/**
 * Size of header, metadata and tensor list: the largest known vocabularies (262,144 tokens with merges) need
 * about 20 MB.
 */
export const MAX_GGUF_HEADER_BYTES = 64 * 2 ** 20;

/** Metadata keys: real files have 20 to 60. */
export const MAX_METADATA_KEYS = 65_536;

/**
 * Elements of all metadata arrays together: 16 times the largest known vocabulary. It keeps a file of empty
 * strings from becoming gigabytes of JavaScript values.
 */
export const MAX_ARRAY_ELEMENTS = 4_194_304;

/** The format's own limit on keys. */
export const MAX_KEY_BYTES = 65_535;

/** Longest tensor name: ggml's limit is 63; other writers may use a little more. */
export const MAX_TENSOR_NAME_BYTES = 255;

/** Tensors in one file: the largest known mixtures have about 2,000, since experts are stacked. */
export const MAX_GGUF_TENSORS = 65_536;

/** Dimensions of a tensor in ggml. */
export const MAX_DIMENSIONS = 4;

/** The alignment if the file does not set one. */
export const DEFAULT_ALIGNMENT = 32;

/** Largest alignment. Real files use 32 or 64; a huge alignment would only put tensors far apart. */
export const MAX_ALIGNMENT = 65_536;

/** Layers of a model, checked before a config lists them: the deepest known models have 126. */
export const MAX_LAYERS = 4096;
