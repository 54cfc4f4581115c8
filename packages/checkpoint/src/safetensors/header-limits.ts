/** The format's limit for the header, for reading and writing (decimal, as in the specification). */
export const MAX_HEADER_BYTES = 100_000_000;

/** Size of the length field before the header: a little-endian unsigned 64-bit number. */
export const LENGTH_FIELD_BYTES = 8;

/**
 * The header of a file is padded with spaces to a multiple of this, so that every tensor begins on a multiple
 * of its element size.
 */
export const HEADER_ALIGNMENT = 8;

/**
 * Longest tensor name in bytes. The longest known real one has about 200; names over 64 KiB are attacks on
 * programs that print or store them.
 */
export const MAX_NAME_BYTES = 65_536;

/**
 * Most tensors in one file. A mixture of 1 trillion parameters has about 100,000; each needs about 300 bytes
 * of memory.
 */
export const MAX_TENSORS = 1_000_000;

/**
 * Most dimensions of a tensor. torch's limit is 64, real weights have up to 5; the limit keeps messages
 * small.
 */
export const MAX_RANK = 16;

/** Most entries of `__metadata__`: real files have one to fifty. */
export const MAX_METADATA_ENTRIES = 65_536;
