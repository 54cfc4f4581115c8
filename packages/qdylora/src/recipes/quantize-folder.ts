import { setImmediate } from 'node:timers/promises';
import {
  assertNewFolder,
  createHashedBlocks,
  cutByBytes,
  openCheckpoint,
  writeFolderAtomically,
  type FileRecord,
  type TensorEntry,
  type TensorToStream,
} from '@qdylora/checkpoint';
import { QdyloraError, type Backend, type Memory } from '@qdylora/contract';
import { preferLargePages } from '@qdylora/cpu-kernels';
import { familyOf, locateWeights, withOwnHead, type LocatedWeight } from '@qdylora/models';
import type { QuantizedMatrix, SourceDtype } from '@qdylora/quant';
import { checkValues, type InputOf, type OutputOf } from '../config/check-values.ts';
import { valuesOfOptions, type ExplicitValues } from '../config/explicit-values.ts';
import { QUANTIZE_KEYS } from '../config/verb-keys.ts';
import type { RecipeHooks } from './evaluate.ts';
import { checkHooks } from './run/check-hooks.ts';
import { chooseBackend, type BackendChoice } from './opening/choose-backend.ts';
import { missingKey } from '../config/missing-key.ts';
import { localModel } from './opening/local-model.ts';
import {
  packArriving,
  packedTensors,
  packMatrix,
  quantizationConfig,
  releaseMatrix,
} from './outputs/packed-tensors.ts';
import { createReadingRings, readAhead, type ReadingRing } from './outputs/read-ahead.ts';
import { filesOf, shardWork, type ShardWork } from './outputs/shard-work.ts';
import { isAsStored, type StoredDtype } from './outputs/values-of-bytes.ts';
import { assertNotAborted } from './run/tell-abort.ts';
import { bytesIn, writeModelFiles } from './outputs/write-model.ts';

export type QuantizeFolderOptions = Omit<InputOf<typeof QUANTIZE_KEYS>, 'backend'> & QuantizeHooks;

/** Beside the hooks of every recipe: where it runs, and the largest file. */
type QuantizeHooks = RecipeHooks & { readonly backend?: BackendChoice; readonly shardBytes?: number };

type Config = OutputOf<typeof QUANTIZE_KEYS>;

export interface QuantizedFolder {
  readonly outputDir: string;
  readonly layers: number;
  readonly bytesBefore: number;
  readonly bytesAfter: number;
}

/**
 * Largest file (decimal, as files are named). Two of them are held: one is written while the next is packed;
 * and an interrupted run does two again at most. The smaller they are the less memory is fresh, which costs 2
 * core-seconds a GB where a hypervisor has to find it (2026).
 */
const SHARD_BYTES = 125_000_000;

/**
 * Quantizes a model's linear layers to 4 bits and writes the folder that transformers + bitsandbytes load.
 * Head, embedding and norms stay as they are.
 *
 * Tensor after tensor is read once, a stretch ahead of what is packed, and written in files of about 0.13 GB,
 * each while the next is packed, so that peak memory is two files and some stretches. Finished files wait in
 * `<outputDir>.partial`: the same call goes on after the last of them, whatever ended the first one.
 *
 * @throws QdyloraError BAD_CONFIG, MISSING_FILE, BAD_FILE; ABORTED, and the finished files wait; UNSUPPORTED
 * for a model that is quantized already; NON_FINITE; NOT_EMPTY, WRITE_FAILED
 */
export async function quantizeFolder({
  onNotice,
  onProgress,
  signal,
  backend,
  shardBytes,
  ...options
}: QuantizeFolderOptions): Promise<QuantizedFolder> {
  checkHooks('quantize', { signal, onNotice, onProgress, shardBytes });
  return quantizeFrom(valuesOfOptions(options), { backend, onNotice, onProgress, signal, shardBytes });
}

/** The same for values from flags. */
export async function quantizeFrom(
  explicit: ExplicitValues,
  { backend, onNotice = () => {}, onProgress = () => {}, signal, shardBytes = SHARD_BYTES }: QuantizeHooks,
): Promise<QuantizedFolder> {
  const config = checkValues(QUANTIZE_KEYS, explicit);
  const { outputDir } = config;
  if (!config.model) throw missingKey('model', 'Name the model to quantize: --model path/to/folder.');
  if (!outputDir)
    throw missingKey('output_dir', 'Name a folder for the result: --output-dir models/first-nf4.');
  assertNewFolder(outputDir);
  const model = await localModel(config.model, { tell: onNotice, signal });
  using opened = await openCheckpoint(model);
  const checkpoint = withOwnHead(opened);
  if (checkpoint.config.quantization)
    throw new QdyloraError('UNSUPPORTED', {
      where: model,
      problem:
        `The model must be in full precision, but ${checkpoint.config.quantization.method} has ` +
        'quantized it already.',
      nextStep: 'Start from the original.',
    });
  const { packedNotice } = familyOf(checkpoint.config.modelType, model);
  if (packedNotice) onNotice(packedNotice);
  const weights = locateWeights(checkpoint);
  const layers = weights.filter(({ isLinear }) => isLinear).length;
  const shards = cutByBytes(weights, writtenBytes, shardBytes);
  const work = shardWork(
    outputDir,
    { files: filesOf(model), ...packingOf(config), shardBytes },
    shards.length,
  );
  using chosen = await chooseBackend(backend ?? config.backend, {
    numThreads: config.numThreads,
    warn: onNotice,
  });
  await packShards(chosen.backend, shards, work, { config, layers, onProgress, signal });
  const records = new Map<string, FileRecord>();
  let bytesAfter = 0;
  await writeFolderAtomically(
    outputDir,
    async (temporary) => {
      bytesAfter = work.moveInto(temporary, records);
      await writeModelFiles(temporary, {
        config: {
          ...checkpoint.config.raw,
          quantization_config: quantizationConfig(config, checkpoint.config),
        },
        tokenizerFolder: model,
      });
    },
    { known: records },
  );
  work.remove();
  return { outputDir, layers, bytesBefore: sum(weights.map(({ entry }) => entry.byteLength)), bytesAfter };
}

interface Packing extends Pick<RecipeHooks, 'signal'> {
  readonly config: Config;
  readonly layers: number;
  readonly onProgress: NonNullable<RecipeHooks['onProgress']>;
}

/**
 * Packs shard after shard, each written in its turn meanwhile; one at most waits packed. Those of tensors
 * that are only copied hold no memory, and come first: they are written while the first others are packed.
 */
async function packShards(
  backend: Backend,
  shards: readonly (readonly LocatedWeight[])[],
  work: ShardWork,
  { config, layers, onProgress, signal }: Packing,
): Promise<void> {
  const { memory } = backend;
  const isDone = shards.map((_, index) => work.has(index));
  const {
    rings: [ring, copyRing],
    write,
    close,
  } = createReadingRings(preferLargePages);
  const blocks = createHashedBlocks({ write, prepare: preferLargePages });
  const coming = readAhead(
    ring,
    shards.flatMap((shard, index) =>
      isDone[index]
        ? []
        : shard
            .filter(({ isLinear, entry }) => isLinear && arrivingDtype(memory, entry))
            .map(({ entry }) => entry),
    ),
  );
  let done = 0;
  let writing = Promise.resolve();
  let packedBefore = writing;
  try {
    for (const [index, shard] of copiedFirst([...shards.entries()])) {
      const tensors: TensorToStream[] = [];
      const packed: QuantizedMatrix[] = [];
      for (const weight of shard) {
        assertNotAborted(signal, 'quantize');
        if (!isDone[index] && weight.isLinear) {
          const { entry } = weight;
          const shape = entry.shape as [number, number];
          const dtype = arrivingDtype(memory, entry);
          const matrix = dtype
            ? await packArriving(backend, coming, dtype, shape, config)
            : await packMatrix(backend, entry, shape, config);
          packed.push(matrix);
          tensors.push(...packedTensors(weight.name, matrix, sourceDtypeOf(weight), memory));
        } else if (!isDone[index]) {
          tensors.push(plainTensor(weight, copyRing));
        }
        if (weight.isLinear) onProgress({ done: ++done, total: layers });
        await setImmediate(); // the writer's turn
      }
      if (isDone[index]) continue;
      if (packed.length > 0) await packedBefore;
      writing = writing
        .then(() => work.write(index, tensors, blocks))
        .then(() => packed.forEach((matrix) => releaseMatrix(matrix, memory)));
      writing.catch(() => {}); // told where it is awaited
      if (packed.length > 0) packedBefore = writing;
    }
    await writing;
  } finally {
    await coming.return();
    await writing.finally(() => Promise.all([blocks.close(), close()]));
  }
}

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
  memory.space.isHost && entry.readBehind && isAsStored(entry.dtype) ? entry.dtype : null;

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
const packingOf = ({
  quantization,
  doubleQuantization,
  quantizationBlockSize,
  scaleRounding,
}: Config): object => ({ quantization, doubleQuantization, quantizationBlockSize, scaleRounding });

/** Bytes of a tensor as it is written. */
const writtenBytes = ({ isLinear, entry: { shape, byteLength } }: LocatedWeight): number =>
  isLinear ? (shape[0] * shape[1] * PACKED_BITS) / 8 : byteLength;

/** Bits of a packed weight with its scales at the usual block size: 4 + 32/64; enough to cut files by. */
const PACKED_BITS = 4.5;

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
      bytes: () => (entry.readBehind ? readAhead(ring, [entry]) : piecesOf(entry)),
    };
  return { name, dtype: 'BF16', shape, bytes: () => bytesIn(entry.readFloat32(), 'bf16') };
}

/** Stays in the second-level cache, and is one read of a file's usual stretch. */
const PIECE_BYTES = 2 ** 20;

/** The bytes of a tensor, in one piece of memory again and again. */
function* piecesOf({ byteLength, readInto }: TensorEntry): Generator<Uint8Array> {
  const piece = new Uint8Array(Math.min(PIECE_BYTES, byteLength));
  for (let at = 0; at < byteLength; at += PIECE_BYTES) {
    const part = piece.subarray(0, byteLength - at);
    readInto(part, at);
    yield part;
  }
}
