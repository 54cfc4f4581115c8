import { createHash } from 'node:crypto';
import type { TensorEntry } from './tensor-entry.ts';

/**
 * Bytes read at each end of a tensor: one page, so that the hash of a 70 GB checkpoint costs a few thousand
 * page reads.
 */
const END_BYTES = 4096;

/**
 * SHA-256 over name, dtype, shape and the first and last 4 KiB of every tensor, in order of names; in hex.
 *
 * Cheap and stable: it tells checkpoints of different training apart, and says nothing about how tensors are
 * cut into files.
 * It is no proof against someone who changes bytes in the middle of a tensor on purpose.
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
