/**
 * Versions of the format that are read: 2 and 3 differ only in byte order, which must be little here; 1 has
 * 32-bit lengths and is extinct.
 */
export const GGUF_VERSIONS: readonly number[] = [2, 3];

/**
 * Header, metadata and tensor list together: the largest vocabularies known (262,144 tokens with merges) need
 * about 20 MB.
 */
export const MAX_GGUF_HEADER_BYTES = 64 * 2 ** 20;

/** Metadata keys: real files have 20 to 60. */
export const MAX_METADATA_KEYS = 65_536;

/**
 * Elements of all metadata arrays together, so that a file of empty strings cannot become gigabytes of
 * JavaScript values: 16 times the largest known vocabulary.
 */
export const MAX_ARRAY_ELEMENTS = 4_194_304;

/** The format's own limit on keys. */
export const MAX_KEY_BYTES = 65_535;

/** ggml stops at 63; a little room for other writers. */
export const MAX_TENSOR_NAME_BYTES = 255;

/** Tensors in one file: the largest known mixtures have about 2,000, since experts are stacked. */
export const MAX_GGUF_TENSORS = 65_536;

/** Dimensions of a tensor in ggml. */
export const MAX_DIMENSIONS = 4;

/** Where the file names no alignment. */
export const DEFAULT_ALIGNMENT = 32;

/** Real files use 32 or 64; a huge alignment would put tensors far apart for nothing. */
export const MAX_ALIGNMENT = 65_536;

/** Layers of a model, before a config lists them: the deepest known have 126. */
export const MAX_LAYERS = 4096;
