import { BLOCK_BYTES, PAGE_BYTES, type WriteBlocks } from '@qdylora/checkpoint';
import type { Memory } from '@qdylora/contract';

/** Memory to write files from, until the backend gives all of its memory back: whole pages, where its regions begin on pages. Where that is no host memory, JavaScript's own. */
export function writeBlocks(memory: Memory): WriteBlocks {
  if (!memory.isHost) return [new Uint8Array(BLOCK_BYTES), new Uint8Array(BLOCK_BYTES)];
  const room = memory.allocate('u8', [2 * BLOCK_BYTES + PAGE_BYTES]), { buffer, byteOffset } = room.data, start = Math.ceil(byteOffset / PAGE_BYTES) * PAGE_BYTES;
  memory.persist(room);
  return [0, 1].map((i) => new Uint8Array(buffer, start + i * BLOCK_BYTES, BLOCK_BYTES)) as [Uint8Array, Uint8Array];
}
