import { openCheckpoint, tensorByteLength, type Checkpoint, type TensorEntry, type TensorToWrite } from '@qdylora/checkpoint';
import { QdyloraError, sameShape, type Backend } from '@qdylora/contract';
import { checkValues, type InputOf, type OutputOf } from '../config/check-values.ts';
import { givenByOptions, type GivenValues } from '../config/given-values.ts';
import { QUANTIZE_KEYS } from '../config/verb-keys.ts';
import type { RecipeHooks } from './evaluate.ts';
import { chooseBackend, type BackendChoice } from './stages/choose-backend.ts';
import { linearLayersOf, type LinearLayer } from './stages/linear-layers.ts';
import { missingKey } from './stages/load-data.ts';
import { localModel } from './stages/local-model.ts';
import { packedTensors, packMatrix, quantizationConfig } from './stages/packed-tensors.ts';
import { bytesIn, writeModelFolder } from './stages/write-model.ts';

export type QuantizeFolderOptions = Omit<InputOf<typeof QUANTIZE_KEYS>, 'backend'> & RecipeHooks & { readonly backend?: BackendChoice };

type Config = OutputOf<typeof QUANTIZE_KEYS>;

export interface QuantizedFolder { readonly outputDir: string; readonly layers: number; readonly bytesBefore: number; readonly bytesAfter: number }

/**
 * Quantizes a model's linear layers to 4 bits and writes the folder that transformers + bitsandbytes load. Head, embedding and norms stay as they are.
 * Peak memory is the packed model plus one matrix.
 *
 * @throws QdyloraError BAD_CONFIG, MISSING_FILE, BAD_FILE; UNSUPPORTED for a model that is quantized already; NON_FINITE; NOT_EMPTY, WRITE_FAILED
 */
export function quantizeFolder({ onNotice, onProgress, signal, ...options }: QuantizeFolderOptions): Promise<QuantizedFolder> {
  return quantizeGiven(givenByOptions(options), { backend: options.backend, onNotice, onProgress, signal });
}

/** The same for values that stand elsewhere (flags). */
export async function quantizeGiven(given: GivenValues, { backend, onNotice = () => {}, onProgress = () => {}, signal }: RecipeHooks & { readonly backend?: BackendChoice }): Promise<QuantizedFolder> {
  const config = checkValues(QUANTIZE_KEYS, given), { outputDir } = config;
  if (!config.model) throw missingKey('model', 'Name the model to quantize: --model path/to/folder.');
  if (!outputDir) throw missingKey('output_dir', 'Name a folder for the result: --output-dir models/first-nf4.');
  const model = await localModel(config.model, { tell: onNotice, signal });
  using checkpoint = await openCheckpoint(model);
  if (checkpoint.config.quantization) throw new QdyloraError('UNSUPPORTED', { where: model, problem: `expected a model in full precision, got one that ${checkpoint.config.quantization.method} has quantized`, nextStep: 'Start from the original.' });
  const layers = linearLayersOf(checkpoint);
  using chosen = await chooseBackend(backend ?? config.backend, { numThreads: config.numThreads, warn: onNotice });
  const packed = new Map<string, TensorToWrite[]>();
  for (const [i, layer] of layers.entries()) {
    signal?.throwIfAborted();
    packed.set(`${layer.name}.weight`, packLayer(chosen.backend, checkpoint, layer, config));
    onProgress(i + 1, layers.length);
  }
  const tensors = [...checkpoint.tensors].flatMap(([name, entry]) => packed.get(name) ?? [plainTensor(entry)]);
  await writeModelFolder(outputDir, { tensors, config: { ...checkpoint.config.raw, quantization_config: quantizationConfig(config) }, tokenizerFolder: model });
  return { outputDir, layers: layers.length, bytesBefore: sum([...checkpoint.tensors.values()].map(({ byteLength }) => byteLength)), bytesAfter: sum(tensors.map(tensorByteLength)) };
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

function packLayer(backend: Backend, checkpoint: Checkpoint, { name, shape }: LinearLayer, config: Config): TensorToWrite[] {
  const entry = checkpoint.tensors.get(`${name}.weight`);
  if (!entry || !sameShape(entry.shape, shape)) throw new QdyloraError(entry ? 'BAD_SHAPE' : 'MISSING_TENSOR', { where: checkpoint.name, problem: `expected [${shape.join(', ')}] for ${name}.weight, got ${entry ? `[${entry.shape.join(', ')}]` : 'none'}` });
  const sourceDtype = ({ F16: 'float16', F32: 'float32' } as const)[entry.dtype as 'F16' | 'F32'] ?? 'bfloat16';
  return packedTensors(`${name}.weight`, packMatrix(backend, entry.readFloat32Into, shape, config), sourceDtype);
}

/** A tensor that is copied; what only GGUF can store becomes bfloat16. */
function plainTensor(entry: TensorEntry): TensorToWrite {
  const { name, dtype, shape } = entry;
  if (['F32', 'F16', 'BF16'].includes(dtype)) return { name, dtype, shape, bytes: () => entry.readBytes() };
  return { name, dtype: 'BF16', shape, bytes: () => bytesIn(entry.readFloat32(), 'bf16') };
}
