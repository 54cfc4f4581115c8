import { createHash } from 'node:crypto';
import type { TensorEntry } from './tensor-entry.ts';

/**
 * Bytes read at each end of a tensor: one page, so that hashing a checkpoint of 70 GB reads only a few
 * thousand pages.
 */
const END_BYTES = 4096;

/**
 * SHA-256 over name, dtype, shape and the first and last 4 KiB of every tensor, in order of names; in hex.
 *
 * Cheap and stable: it distinguishes checkpoints of different training, and does not depend on how tensors
 * are split into files. It does not detect a change in the middle of a tensor.
 */
export function fingerprintOf(tensors: ReadonlyMap<string, TensorEntry>): string {
  const hash = createHash('sha256');
  for (const name of [...tensors.keys()].sort()) {
    const entry = tensors.get(name)!;
    const length = Math.min(END_BYTES, entry.byteLength);
    const bytes = new Uint8Array(length);
    hash.update(JSON.stringify([name, entry.dtype, entry.shape, entry.byteLength]));
    entry.readInto(bytes, 0);
    hash.update(bytes);
    entry.readInto(bytes, entry.byteLength - length);
    hash.update(bytes);
  }
  return hash.digest('hex');
}
