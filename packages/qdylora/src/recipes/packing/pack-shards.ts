import { setImmediate } from 'node:timers/promises';
import {
  createHashedBlocks,
  type TensorEntry,
  type TensorToStream,
  type WriteBlocks,
} from '@qdylora/checkpoint';
import type { Backend, Memory } from '@qdylora/contract';
import { preferLargePages } from '@qdylora/cpu-kernels';
import type { LocatedWeight } from '@qdylora/models';
import type { QuantizedMatrix, SourceDtype } from '@qdylora/quant';
import { bytesIn } from '../outputs/write-model.ts';
import { assertNotAborted } from '../run/steps/tell-abort.ts';
import { packArriving, packedTensors, packMatrix, releaseMatrix, type Packing } from './packed-tensors.ts';
import { createReadingRings, readAhead, type ReadingRing } from './read-ahead.ts';
import type { ShardWork } from './shard-work.ts';
import { isAsStored, type StoredDtype } from './values-of-bytes.ts';

export interface PackShardsOptions {
  readonly packing: Packing;
  /** Called for each packed matrix, also of shards that were written earlier. */
  readonly onPacked: () => void;
  readonly signal?: AbortSignal;
}

/**
 * Packs shard after shard. Each is written while the next is packed, so that at most one packed shard waits.
 * Shards whose tensors are only copied hold no memory and come first: they are written while the first of the
 * others is packed.
 */
export async function packShards(
  backend: Backend,
  shards: readonly (readonly LocatedWeight[])[],
  work: ShardWork,
  { packing, onPacked, signal }: PackShardsOptions,
): Promise<void> {
  const { memory } = backend;
  const isDone = shards.map((_, index) => work.has(index));
  const {
    rings: [ring, copyRing],
    write,
    close,
  } = createReadingRings(preferLargePages);
  const blocks = createHashedBlocks({ write, prepare: preferLargePages });
  const stretches = readAhead(ring, arrivingEntries(shards, isDone, memory));
  const writer = shardWriter(work, blocks, memory);
  try {
    for (const [index, weights] of copiedFirst([...shards.entries()])) {
      const shard: ReadyShard = { tensors: [], matrices: [] };
      for (const weight of weights) {
        assertNotAborted(signal, 'quantize');
        if (!isDone[index]) await addWeight(shard, weight, { backend, packing, stretches, copyRing });
        if (weight.isLinear) onPacked();
        await setImmediate(); // the writer's turn
      }
      if (!isDone[index]) await writer.add(index, shard);
    }
    await writer.finish();
  } finally {
    await stretches.return();
    await writer.finish().finally(() => Promise.all([blocks.close(), close()]));
  }
}

/** A shard that can be written. */
interface ReadyShard {
  readonly tensors: TensorToStream[];
  /** The packed ones, whose arrays are released when they are written. */
  readonly matrices: QuantizedMatrix[];
}

interface AddWeightOptions {
  readonly backend: Backend;
  readonly packing: Packing;
  /** Bytes of the matrices that are packed as they arrive, in their order. */
  readonly stretches: AsyncGenerator<Uint8Array, void, void>;
  readonly copyRing: ReadingRing;
}

/** Packs a matrix into the shard; any other weight is copied when the shard is written. */
async function addWeight(
  { tensors, matrices }: ReadyShard,
  weight: LocatedWeight,
  { backend, packing, stretches, copyRing }: AddWeightOptions,
): Promise<void> {
  if (!weight.isLinear) {
    tensors.push(plainTensor(weight, copyRing));
    return;
  }
  const { entry } = weight;
  const { memory } = backend;
  const shape = entry.shape as [number, number];
  const dtype = arrivingDtype(memory, entry);
  const matrixPacking = { ...packing, name: weight.name };
  const matrix = dtype
    ? await packArriving(backend, { dtype, shape, stretches }, matrixPacking)
    : await packMatrix(backend, entry, shape, matrixPacking);
  matrices.push(matrix);
  tensors.push(...packedTensors(weight.name, matrix, sourceDtypeOf(weight), memory));
}

/** Writes shards one after another while their caller goes on. */
interface ShardWriter {
  /** Queues a shard. A packed one waits until the packed one before it is written. */
  add(index: number, shard: ReadyShard): Promise<void>;
  /** Resolves when all are written. @throws QdyloraError WRITE_FAILED */
  finish(): Promise<void>;
}

function shardWriter(work: ShardWork, blocks: WriteBlocks, memory: Memory): ShardWriter {
  let writing = Promise.resolve();
  let packedBefore = writing;
  return {
    async add(index, { tensors, matrices }) {
      if (matrices.length > 0) await packedBefore;
      writing = writing
        .then(() => work.write(index, tensors, blocks))
        .then(() => matrices.forEach((matrix) => releaseMatrix(matrix, memory)));
      writing.catch(() => {}); // `finish` throws it
      if (matrices.length > 0) packedBefore = writing;
    },
    finish: () => writing,
  };
}

/** The matrices of unfinished shards that are packed as their bytes arrive. */
const arrivingEntries = (
  shards: readonly (readonly LocatedWeight[])[],
  isDone: readonly boolean[],
  memory: Memory,
): TensorEntry[] =>
  shards.flatMap((shard, index) =>
    isDone[index]
      ? []
      : shard
          .filter(({ isLinear, entry }) => isLinear && arrivingDtype(memory, entry))
          .map(({ entry }) => entry),
  );

/** Files with nothing to pack before the others. */
function copiedFirst(
  shards: readonly (readonly [number, readonly LocatedWeight[]])[],
): readonly (readonly [number, readonly LocatedWeight[]])[] {
  const isPacked = ([, shard]: (typeof shards)[number]): boolean => shard.some(({ isLinear }) => isLinear);
  return [...shards.filter((shard) => !isPacked(shard)), ...shards.filter(isPacked)];
}

/**
 * The dtype of a matrix that is packed as its bytes arrive; null for one that must be converted on the way,
 * or lies in memory of another kind.
 */
const arrivingDtype = (memory: Memory, entry: TensorEntry): StoredDtype | null =>
  memory.space.isHost && entry.readAsync && isAsStored(entry.dtype) ? entry.dtype : null;

/** What a reader decodes to by default: the dtype that the weight had. */
const sourceDtypeOf = ({ storedDtype }: LocatedWeight): SourceDtype =>
  (({ F16: 'float16', F32: 'float32' }) as const)[storedDtype as 'F16' | 'F32'] ?? 'bfloat16';

/** A tensor that is copied; what only GGUF can store becomes bfloat16. */
function plainTensor({ name, entry }: LocatedWeight, ring: ReadingRing): TensorToStream {
  const { dtype, shape } = entry;
  if (['F32', 'F16', 'BF16'].includes(dtype))
    return {
      name,
      dtype,
      shape,
      bytes: () => (entry.readAsync ? readAhead(ring, [entry]) : piecesOf(entry)),
    };
  return { name, dtype: 'BF16', shape, bytes: () => bytesIn(entry.readFloat32(), 'bf16') };
}

/** Small enough for the second-level cache. */
const PIECE_BYTES = 2 ** 20;

/** The bytes of a tensor, each piece in the same buffer: a piece is valid until the next one. */
function* piecesOf({ byteLength, readInto }: TensorEntry): Generator<Uint8Array> {
  const piece = new Uint8Array(Math.min(PIECE_BYTES, byteLength));
  for (let at = 0; at < byteLength; at += PIECE_BYTES) {
    const part = piece.subarray(0, byteLength - at);
    readInto(part, at);
    yield part;
  }
}
