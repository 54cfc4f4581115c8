import { PAGE_BYTES, PAGES_AROUND, type TensorEntry } from '@qdylora/checkpoint';
import { elementCount, viewOf, type ArrayView, type Memory } from '@qdylora/contract';
import type { Values } from '@qdylora/models';

/** Dtypes that lie in files as kernels read them. */
const STAGED = { BF16: { dtype: 'bf16', Words: Uint16Array }, F32: { dtype: 'f32', Words: Float32Array } } as const;

type Staged = ArrayView<'bf16'> | ArrayView<'f32'>;

/**
 * The values of one tensor after another, each read by the system's threads while the caller works on the one before: two places in host memory take turns, so what was yielded
 * stays until the tensor after the next is asked for. What must be converted, or lies in memory of another kind, is yielded as the tensor itself, and read when it is used.
 *
 * @throws QdyloraError BAD_FILE where the bytes are not there
 */
export async function* readAhead(memory: Memory, entries: readonly TensorEntry[]): AsyncGenerator<Values, void, void> {
  const largest = entries.reduce((most, entry) => (isStaged(memory, entry) ? Math.max(most, entry.byteLength) : most), 0), places = [0, 1].map(() => persistent(memory, largest + PAGES_AROUND + PAGE_BYTES));
  const begin = (index: number): Promise<Values> | undefined => {
    const entry = entries[index];
    return entry && (isStaged(memory, entry) ? readInto(places[index % 2]!, entry) : Promise.resolve(entry));
  };
  let coming = begin(0);
  try {
    for (let index = 1; coming; index++) {
      const values: Values = await coming;
      coming = begin(index);
      coming?.catch(() => {}); // told where it is awaited
      yield values;
    }
  } finally {
    await coming?.catch(() => {}); // nothing may write into memory that was given back
    for (const place of places) memory.release(place);
  }
}

const isStaged = ({ isHost }: Memory, { dtype, readBehind }: TensorEntry): boolean => isHost && readBehind !== undefined && Object.hasOwn(STAGED, dtype);

function persistent(memory: Memory, bytes: number): ArrayView<'u8'> {
  const view = memory.allocate('u8', [bytes]);
  memory.persist(view);
  return view;
}

async function readInto({ data: { buffer, byteOffset, length } }: ArrayView<'u8'>, entry: TensorEntry): Promise<Staged> {
  const { dtype, Words } = STAGED[entry.dtype as keyof typeof STAGED], start = Math.ceil(byteOffset / PAGE_BYTES) * PAGE_BYTES, place = new Uint8Array(buffer, start, length - (start - byteOffset)); // regions of kernels begin on pages
  const read = await entry.readBehind!(place), isAligned = read.byteOffset % Words.BYTES_PER_ELEMENT === 0, count = elementCount(entry.shape);
  if (!isAligned) place.set(read); // a file may have any number of bytes before a tensor
  return viewOf(dtype, [count], new Words(buffer as ArrayBuffer, isAligned ? read.byteOffset : start, count)) as Staged;
}
