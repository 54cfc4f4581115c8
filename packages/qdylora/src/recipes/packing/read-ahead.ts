import {
  createFileThread,
  PAGE_BYTES,
  PAGES_AROUND,
  type ReadFile,
  type TensorEntry,
  type WriteFile,
} from '@qdylora/checkpoint';

/**
 * Bytes of a tensor that are read at a time; the caller lets the event loop run after each. A disk fills less
 * memory faster: 2.6 to 2.9 GB/s into 8 MB, 1.6 to 2.1 into 32 MB or more. Shorter stretches cost more turns
 * (2 cores, a virtual machine, 2026).
 */
export const STRETCH_BYTES = 2 ** 22;

/**
 * One stretch belongs to the caller; the others are read or being read, so that a slow moment of disk or
 * caller stops neither.
 */
const BUFFERS = 3;

/** Buffers that are filled in turn, and the function that reads into them. */
export interface ReadingRing {
  readonly buffers: readonly Uint8Array[];
  readonly read: ReadFile;
}

/**
 * Two rings of one thread, each for one reader at a time: one for computing, one for copying. The same thread
 * writes.
 */
export interface ReadingRings {
  readonly rings: readonly [ReadingRing, ReadingRing];
  readonly write: WriteFile;
  close(): Promise<void>;
}

/** @param prepare as of `createFileThread` */
export function createReadingRings(prepare?: (memory: Uint8Array) => void): ReadingRings {
  const { buffers, read, write, close } = createFileThread({
    buffers: 2 * BUFFERS,
    bufferBytes: Math.ceil((STRETCH_BYTES + PAGES_AROUND) / PAGE_BYTES) * PAGE_BYTES,
    prepare,
  });
  return {
    rings: [
      { buffers: buffers.slice(0, BUFFERS), read },
      { buffers: buffers.slice(BUFFERS), read },
    ],
    write,
    close,
  };
}

/**
 * The bytes of tensors one after another, in stretches of at most STRETCH_BYTES, read while the caller works
 * on earlier ones. A stretch is valid until the next one is requested: it is in a buffer of a ring.
 *
 * @param entries tensors with `readAsync`
 * @throws QdyloraError BAD_FILE where bytes are missing
 */
export async function* readAhead(
  { buffers, read }: ReadingRing,
  entries: readonly TensorEntry[],
): AsyncGenerator<Uint8Array, void, void> {
  const stretches = entries.flatMap(cut);
  const coming: Promise<Uint8Array>[] = [];
  const begin = (i: number): void => {
    if (i >= stretches.length) return;
    const { entry, byteOffset, length } = stretches[i];
    const reading = entry.readAsync!(buffers[i % buffers.length], { byteOffset, length, read });
    reading.catch(() => {}); // told where it is awaited
    coming.push(reading);
  };
  try {
    for (let i = 1; i < buffers.length; i++) begin(i - 1);
    for (let i = 0; i < stretches.length; i++) {
      begin(i + buffers.length - 1);
      yield await coming.shift()!;
    }
  } finally {
    await Promise.allSettled(coming); // nothing may write into buffers that another takes
  }
}

interface Stretch {
  readonly entry: TensorEntry;
  readonly byteOffset: number;
  readonly length: number;
}

const cut = (entry: TensorEntry): Stretch[] =>
  Array.from({ length: Math.ceil(entry.byteLength / STRETCH_BYTES) }, (_, i) => ({
    entry,
    byteOffset: i * STRETCH_BYTES,
    length: Math.min(STRETCH_BYTES, entry.byteLength - i * STRETCH_BYTES),
  }));
