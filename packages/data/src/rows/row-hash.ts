import { hash } from 'node:crypto';

/** Bytes of a SHA-256 that make one hash, a fraction of `HASHES`. */
export const BYTES_OF_HASH = 6;
export const HASHES = 2 ** (8 * BYTES_OF_HASH);

/**
 * Hash of a row's content in [0, 1): SHA-256 over the seed and the values that are trained on. Other keys (an
 * id, a source), the order of keys and white space between them change nothing.
 */
export function rowHash(values: readonly unknown[], seed: number): number {
  const digest = hash('sha256', `${seed}\n${JSON.stringify(values)}`, 'buffer');
  return digest.readUIntBE(0, BYTES_OF_HASH) / HASHES;
}

/** Hash of a window of plain text: that of a row with these ids. */
export const windowHash = (ids: Int32Array, seed: number): number => rowHash([Array.from(ids)], seed);
