import type { TensorEntry } from '@qdylora/checkpoint';
import { sameShape } from '@qdylora/contract';

/** Bytes of either tensor that are read at a time. */
const BLOCK_BYTES = 2 ** 20;

/**
 * Whether two stored tensors have the same type, shape and bytes. All bytes are compared, as transformers and
 * PEFT do: in a tuned head, as few as one row may differ from the embedding.
 */
export function isSameTensor(one: TensorEntry, other: TensorEntry): boolean {
  if (one.dtype !== other.dtype || !sameShape(one.shape, other.shape)) return false;
  for (let start = 0; start < one.byteLength; start += BLOCK_BYTES) {
    const length = Math.min(BLOCK_BYTES, one.byteLength - start);
    if (!hasSameBytes(blockOf(one, start, length), blockOf(other, start, length))) return false;
  }
  return true;
}

function blockOf(tensor: TensorEntry, start: number, length: number): Uint8Array {
  const block = new Uint8Array(length);
  tensor.readInto(block, start);
  return block;
}

/** A loop: `every` takes six times as long (Node 20). */
function hasSameBytes(one: Uint8Array, other: Uint8Array): boolean {
  for (let i = 0; i < one.length; i++) if (one[i] !== other[i]) return false;
  return true;
}
