/**
 * The format's own limit on the header, when reading and when writing (decimal, as the specification has it).
 */
export const MAX_HEADER_BYTES = 100_000_000;

/** Bytes before the header: its length, a little-endian unsigned 64-bit number. */
export const LENGTH_FIELD_BYTES = 8;

/**
 * The header of a file is padded with spaces to a multiple of this, so that every tensor begins on a multiple
 * of its element size.
 */
export const HEADER_ALIGNMENT = 8;

/**
 * Longest tensor name, in bytes: the longest known real one has about 200; beyond 64 KiB a name is an attack
 * on whoever prints or stores it.
 */
export const MAX_NAME_BYTES = 65_536;

/**
 * Most tensors in one file: a 1-trillion-parameter mixture has about 100,000; each costs us about 300 bytes
 * of memory.
 */
export const MAX_TENSORS = 1_000_000;

/** Most dimensions of a tensor: torch stops at 64, real weights at 5; strides and messages stay small. */
export const MAX_RANK = 16;

/** Most entries of `__metadata__`: real files have one to fifty. */
export const MAX_METADATA_ENTRIES = 65_536;
