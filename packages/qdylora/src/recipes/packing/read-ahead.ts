import {
  createFileThread,
  PAGE_BYTES,
  PAGES_AROUND,
  type ReadFile,
  type TensorEntry,
  type WriteFile,
} from '@qdylora/checkpoint';

/**
 * So many bytes of a tensor are read at a time; the caller gives the event loop a turn after each. The less
 * memory takes turns, the faster a disk fills it: 2.6 to 2.9 GB/s into 8 MB, 1.6 to 2.1 into 32 MB or more;
 * and the shorter the stretches, the more turns they cost (2 cores, a virtual machine, 2026).
 */
export const STRETCH_BYTES = 2 ** 22;

/**
 * One stretch is the caller's; the others are there or on their way, so that neither disk nor caller waits
 * where the other falters.
 */
const PLACES = 3;

/** Places that take turns, and who reads into them. */
export interface ReadingRing {
  readonly places: readonly Uint8Array[];
  readonly read: ReadFile;
}

/**
 * Two rings of one thread, each for one reader at a time: one for who computes, the other for who copies. The
 * same thread writes.
 */
export interface ReadingRings {
  readonly rings: readonly [ReadingRing, ReadingRing];
  readonly write: WriteFile;
  close(): Promise<void>;
}

/** @param prepare as of `createFileThread` */
export function createReadingRings(prepare?: (memory: Uint8Array) => void): ReadingRings {
  const { places, read, write, close } = createFileThread({
    places: 2 * PLACES,
    placeBytes: Math.ceil((STRETCH_BYTES + PAGES_AROUND) / PAGE_BYTES) * PAGE_BYTES,
    prepare,
  });
  return {
    rings: [
      { places: places.slice(0, PLACES), read },
      { places: places.slice(PLACES), read },
    ],
    write,
    close,
  };
}

/**
 * The bytes of tensor after tensor, in stretches of at most STRETCH_BYTES, read while the caller works on
 * those before. They lie in the places of a ring: a stretch stays until the next one is asked for.
 *
 * @param entries tensors that can be read behind (`readBehind`)
 * @throws QdyloraError BAD_FILE where the bytes are not there
 */
export async function* readAhead(
  { places, read }: ReadingRing,
  entries: readonly TensorEntry[],
): AsyncGenerator<Uint8Array, void, void> {
  const stretches = entries.flatMap(cut);
  const coming: Promise<Uint8Array>[] = [];
  const begin = (i: number): void => {
    if (i >= stretches.length) return;
    const { entry, byteOffset, length } = stretches[i];
    const reading = entry.readBehind!(places[i % places.length], { byteOffset, length, read });
    reading.catch(() => {}); // told where it is awaited
    coming.push(reading);
  };
  try {
    for (let i = 1; i < places.length; i++) begin(i - 1);
    for (let i = 0; i < stretches.length; i++) {
      begin(i + places.length - 1);
      yield await coming.shift()!;
    }
  } finally {
    await Promise.allSettled(coming); // nothing may write into places that another takes
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
