import {
  assertNewFolder,
  cutByBytes,
  openCheckpoint,
  realFolder,
  writeFolderAtomically,
  type Checkpoint,
  type CheckpointConfig,
  type FileRecord,
} from '@qdylora/checkpoint';
import { QdyloraError } from '@qdylora/contract';
import { familyOf, locateWeights, withOwnHead, type LocatedWeight } from '@qdylora/models';
import { quantStateName } from '@qdylora/quant';
import { checkValues, type InputOf, type OutputOf } from '../config/values/check-values.ts';
import { valuesOfOptions, type ExplicitValues } from '../config/explicit-values.ts';
import { QUANTIZE_KEYS } from '../config/verb-keys.ts';
import { QUANTIZED_FROM } from './adapter/base-identity.ts';
import { checkHooks } from './run/check-hooks.ts';
import { chooseBackend, type BackendChoice } from './opening/choose-backend.ts';
import { missingKey } from '../config/names/missing-key.ts';
import { localModel } from './opening/local-model.ts';
import { packShards } from './packing/pack-shards.ts';
import { quantizationConfig } from './packing/packed-tensors.ts';
import { weightFileStats, shardWork } from './packing/shard-work.ts';
import { writableConfig, writeModelFiles } from './outputs/write-model.ts';
import type { RecipeHooks } from './hooks.ts';

/**
 * Options of `quantizeFolder`: the keys of `qdylora quantize` in camelCase, the hooks, the backend, and the
 * size of files.
 */
export type QuantizeFolderOptions = Omit<InputOf<typeof QUANTIZE_KEYS>, 'backend'> & QuantizeHooks;

/** The hooks of every recipe, the backend, and the size of files. */
type QuantizeHooks = RecipeHooks & { readonly backend?: BackendChoice; readonly shardBytes?: number };

type Config = OutputOf<typeof QUANTIZE_KEYS>;

/** The result of `quantizeFolder`: the folder that was written, and its size. */
export interface QuantizedFolder {
  readonly outputDir: string;
  /** Number of quantized layers. */
  readonly layers: number;
  /** Bytes of all weights of the model. */
  readonly bytesBefore: number;
  /** Bytes of all tensors of the result, scales included. */
  readonly bytesAfter: number;
}

/**
 * Bytes at which a new file begins, in decimal units; a larger tensor has a file of its own. Two files are in
 * memory: one is written while the next is packed. An interrupted run repeats at most two. Smaller files
 * touch less fresh memory, which costs 2 core-seconds a GB under a hypervisor (2026).
 */
const FILE_BYTES = 125_000_000;

/**
 * Quantizes the linear layers of a model to 4 bits and writes a folder that transformers + bitsandbytes load.
 * Head, embedding and norms stay as they are.
 *
 * Tensors are read once, in stretches, ahead of packing. They are written in files of at most 0.125 GB, or of
 * one larger tensor, each while the next is packed, so peak memory is two files and some stretches. Finished
 * files wait in `<outputDir>.partial`: the same call continues after the last of them.
 *
 * @throws QdyloraError BAD_CONFIG, MISSING_FILE, BAD_FILE; ABORTED (finished files stay); UNSUPPORTED for a
 * model that is quantized already; NON_FINITE; NOT_EMPTY, WRITE_FAILED
 */
export async function quantizeFolder({
  onNotice,
  onProgress,
  signal,
  backend,
  shardBytes,
  ...options
}: QuantizeFolderOptions): Promise<QuantizedFolder> {
  checkHooks('quantizeFolder', { signal, onNotice, onProgress, shardBytes });
  return quantizeFrom(valuesOfOptions(options), { backend, onNotice, onProgress, signal, shardBytes });
}

/** The same for values from flags. */
export async function quantizeFrom(
  explicit: ExplicitValues,
  { backend, onNotice = () => {}, onProgress = () => {}, signal, shardBytes = FILE_BYTES }: QuantizeHooks,
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
  assertFullPrecision(checkpoint, model);
  writableConfig(checkpoint.config); // before the work
  const { packedNotice } = familyOf(checkpoint.config.modelType, model);
  if (packedNotice) onNotice(packedNotice);
  const weights = locateWeights(checkpoint);
  const layers = weights.filter(({ isLinear }) => isLinear).length;
  const shards = cutByBytes(weights, writtenBytes, shardBytes);
  using work = shardWork(
    realFolder(outputDir),
    { files: weightFileStats(model), ...packingOf(config), shardBytes },
    shards.length,
  );
  using chosen = await chooseBackend(backend ?? config.backend, {
    numThreads: config.numThreads,
    warn: onNotice,
  });
  let done = 0;
  await packShards(chosen.backend, shards, work, {
    packing: config,
    onPacked: () => onProgress({ done: ++done, total: layers }),
    signal,
  });
  const records = new Map<string, FileRecord>();
  let bytesAfter = 0;
  await writeFolderAtomically(
    outputDir,
    async (temporary) => {
      bytesAfter = work.linkInto(temporary, records);
      await writeModelFiles(temporary, {
        config: quantizedConfig(checkpoint.config, config, opened.fingerprint()),
        tokenizerFolder: model,
      });
    },
    { known: records },
  );
  work.remove();
  return { outputDir, layers, bytesBefore: sum(weights.map(({ entry }) => entry.byteLength)), bytesAfter };
}

/** Refuses a model that is quantized by its config or, where that says nothing, by its tensors. */
function assertFullPrecision({ config, tensors }: Checkpoint, where: string): void {
  const isPacked = [...tensors.keys()].some((name) => quantStateName(name, tensors) !== undefined);
  const method = config.quantization?.method ?? (isPacked ? 'bitsandbytes' : null);
  if (method !== null)
    throw new QdyloraError('UNSUPPORTED', {
      where,
      problem: `The model must be in full precision, but ${method} has already quantized it.`,
      nextStep: 'Start from the original model.',
    });
}

const quantizedConfig = (
  original: CheckpointConfig,
  config: Config,
  fingerprint: string,
): Record<string, unknown> => ({
  ...writableConfig(original),
  quantization_config: { ...quantizationConfig(config, original), [QUANTIZED_FROM]: fingerprint },
});

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
