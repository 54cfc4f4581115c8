import type { TensorEntry } from '@qdylora/checkpoint';
import { localModel } from './opening/local-model.ts';
import { openBase } from './opening/open-base.ts';
import type { Warn } from './hooks.ts';

/** What a checkpoint is, from its headers alone. */
export interface CheckpointFacts {
  readonly kind: 'checkpoint';
  readonly name: string;
  readonly format: string;
  readonly modelType: string;
  readonly parameters: number;
  readonly bytes: number;
  readonly tensors: number;
  /** Bytes by element type. */
  readonly dtypes: readonly { readonly dtype: string; readonly bytes: number }[];
  readonly vocabularySize: number;
  readonly layers: number;
  readonly hiddenSize: number;
  readonly quantization: string | null;
  readonly hasTokenizer: boolean;
  readonly hasChatTemplate: boolean;
  readonly fingerprint: string;
}

/** @throws UnsupportedArchitectureError; QdyloraError MISSING_FILE, BAD_FILE, BAD_CONFIG */
export async function inspectCheckpoint(path: string, tell?: Warn): Promise<CheckpointFacts> {
  using base = await openBase(await localModel(path, { tell }));
  const { checkpoint, name, vocabularySize, layers, hiddenSize } = base;
  const { config, tensors, tokenizerFiles } = checkpoint;
  const entries = [...tensors.values()];
  const bytesOf = new Map<string, number>();
  for (const { dtype, byteLength } of entries) bytesOf.set(dtype, (bytesOf.get(dtype) ?? 0) + byteLength);
  return {
    kind: 'checkpoint',
    name,
    format: checkpoint.format,
    modelType: config.modelType,
    parameters: parameterCount(entries, config.quantization !== null),
    bytes: entries.reduce((sum, { byteLength }) => sum + byteLength, 0),
    tensors: entries.length,
    dtypes: [...bytesOf].map(([dtype, bytes]) => ({ dtype, bytes })),
    vocabularySize,
    layers,
    hiddenSize,
    quantization: config.quantization && `${config.quantization.method} ${config.quantization.quantType}`,
    hasTokenizer: tokenizerFiles.tokenizerJson !== null,
    hasChatTemplate: tokenizerFiles.chatTemplate !== null,
    fingerprint: checkpoint.fingerprint(),
  };
}

/** Number of weights; of a 4-bit model two for each byte, without its scales and tables. */
function parameterCount(entries: readonly TensorEntry[], isPacked: boolean): number {
  const count = ({ shape, dtype, name }: TensorEntry): number => {
    if (isPacked && /\.(absmax|quant_map|nested_\w+|quant_state\.\w+)$/.test(name)) return 0;
    return shape.reduce((product, size) => product * size, isPacked && dtype === 'U8' ? 2 : 1);
  };
  return entries.reduce((sum, entry) => sum + count(entry), 0);
}
