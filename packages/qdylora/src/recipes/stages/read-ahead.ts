import { PAGE_BYTES, PAGES_AROUND, type TensorEntry } from '@qdylora/checkpoint';
import type { ArrayView, Memory } from '@qdylora/contract';

/** So many bytes of a tensor are read at a time. Two such reads at once keep a disk busy: 1.7 GB/s of one that gives 1.4 to single reads, and 1.8 to four times longer ones (2026). */
export const STRETCH_BYTES = 2 ** 24;

/** One stretch is the caller's while two are on their way. Node has four threads for files: two are left to write. */
const PLACES = 3;

/** True where a tensor's bytes can be read ahead. */
export const isReadAhead = ({ isHost }: Memory, { readBehind }: TensorEntry): boolean => isHost && readBehind !== undefined;

/**
 * The bytes of tensor after tensor, in stretches of at most STRETCH_BYTES, read by the system's threads while the caller works on those before. They lie in host memory, in a few places that take
 * turns: a stretch stays until the next one is asked for.
 *
 * @param entries tensors that can be read ahead
 * @throws QdyloraError BAD_FILE where the bytes are not there
 */
export async function* readAhead(memory: Memory, entries: readonly TensorEntry[]): AsyncGenerator<Uint8Array, void, void> {
  const stretches = entries.flatMap(cut), largest = Math.max(0, ...stretches.map(({ length }) => length));
  const places = Array.from({ length: Math.min(PLACES, stretches.length) }, () => persistent(memory, largest + PAGES_AROUND + PAGE_BYTES)), coming: Promise<Uint8Array>[] = [];
  let begun = 0;
  const begin = (): void => {
    if (begun === stretches.length) return;
    const { entry, from, length } = stretches[begun]!, reading = entry.readBehind!(fromPage(places[begun++ % places.length]!), from, length);
    reading.catch(() => {}); // told where it is awaited
    coming.push(reading);
  };
  try {
    for (let i = 1; i < places.length; i++) begin();
    for (let i = 0; i < stretches.length; i++) {
      begin();
      yield await coming.shift()!;
    }
  } finally {
    await Promise.allSettled(coming); // nothing may write into memory that was given back
    for (const place of places) memory.release(place);
  }
}

interface Stretch { readonly entry: TensorEntry; readonly from: number; readonly length: number }

const cut = (entry: TensorEntry): Stretch[] => Array.from({ length: Math.ceil(entry.byteLength / STRETCH_BYTES) }, (_, i) => ({ entry, from: i * STRETCH_BYTES, length: Math.min(STRETCH_BYTES, entry.byteLength - i * STRETCH_BYTES) }));

function persistent(memory: Memory, bytes: number): ArrayView<'u8'> {
  const view = memory.allocate('u8', [bytes]);
  memory.persist(view);
  return view;
}

/** What follows the first page border: regions of kernels begin on one. */
function fromPage({ data: { buffer, byteOffset, length } }: ArrayView<'u8'>): Uint8Array {
  const start = Math.ceil(byteOffset / PAGE_BYTES) * PAGE_BYTES;
  return new Uint8Array(buffer, start, length - (start - byteOffset));
}
