import { join } from 'node:path';
import {
  hfConfigOf,
  openCheckpoint,
  writeFolderAtomically,
  writeGgufModel,
  type CheckpointConfig,
  type GgufWriteType,
  type TensorToStream,
  type TensorToWrite,
} from '@qdylora/checkpoint';
import type { Backend } from '@qdylora/contract';
import { familyOf } from '@qdylora/models';
import { dequantize4bit } from '@qdylora/quant';
import type { MergeDtype } from '../../config/merge-formats.ts';
import type { ModelWeight } from '../adapter/adapted-weights.ts';
import type { ModelSource } from '../opening/open-source.ts';
import { packedTensors, packMatrix, quantizationConfig, type Packing } from '../packing/packed-tensors.ts';
import { configWithDtype, weightTensors, writeModelFolder, type SaveDtype } from './write-model.ts';

const GGUF_TYPES: Readonly<Partial<Record<MergeDtype, GgufWriteType>>> = {
  bf16: 'BF16',
  f16: 'F16',
  f32: 'F32',
  q8_0: 'Q8_0',
};

/** The file of a GGUF folder. */
export const GGUF_FILE = 'model.gguf';

/** A model to write: its merged weights, and what the base has beside weights. */
export interface MergedWeights {
  /** As checkpoints store them, except for `writeMergedPacked`. */
  readonly weights: readonly ModelWeight[];
  readonly source: ModelSource;
}

/** Writes `model.gguf` into a folder of its own, all or nothing. */
export async function writeMergedGguf(
  folder: string,
  { weights, source }: MergedWeights,
  dtype: MergeDtype,
): Promise<void> {
  using tokenizerSource = await openCheckpoint(source.tokenizerFolder);
  const { tokenizerFiles } = tokenizerSource;
  const { quantization_config: _, ...raw } = source.config.raw;
  const config = statedConfig(hfConfigOf(source.config.path, raw, source.config.rope.factors));
  await writeFolderAtomically(folder, (temporary) =>
    writeGgufModel(join(temporary, GGUF_FILE), {
      name: source.name,
      config,
      tensors: weights,
      tokenizer: source.template
        ? { ...tokenizerFiles, chatTemplate: source.template.source, toolTemplate: null }
        : tokenizerFiles,
      type: GGUF_TYPES[dtype]!,
    }),
  );
}

/** Adds the sizes that a config leaves to its family: a GGUF file states all of them. */
export function statedConfig(config: CheckpointConfig): CheckpointConfig {
  const { raw, path, modelType } = config;
  const {
    epsilon,
    maxPositions,
    attention: [first],
  } = familyOf(modelType, path).readConfig(config);
  const { kvHeads, headDim, rope } = first!;
  const familyValues =
    modelType === 'gpt2'
      ? { n_positions: maxPositions, layer_norm_epsilon: epsilon }
      : {
          max_position_embeddings: maxPositions,
          ...(modelType === 'falcon'
            ? { layer_norm_epsilon: epsilon }
            : modelType === 'gpt_neox'
              ? { layer_norm_eps: epsilon, rotary_pct: (2 * rope!.frequencies.length) / headDim }
              : { rms_norm_eps: epsilon, num_key_value_heads: kvHeads, head_dim: headDim }),
        };
  const missing = Object.fromEntries(Object.entries(familyValues).filter(([key]) => !config.has(key)));
  return hfConfigOf(path, { ...raw, ...missing }, config.rope.factors);
}

/** Writes a Hugging Face folder of floats. */
export const writeMergedFloats = (
  folder: string,
  { weights, source }: MergedWeights,
  dtype: SaveDtype,
): Promise<void> =>
  writeModelFolder(folder, {
    tensors: weightTensors(weights, dtype),
    config: configWithDtype(source.config, dtype),
    tokenizerFolder: source.tokenizerFolder,
    template: source.template,
  });

/**
 * Writes a folder whose matrices, [out, in] in every family, are quantized to 4 bits again. Returns the
 * relative error of the matrices: √(Σ error² / Σ weight²).
 */
export async function writeMergedPacked(
  folder: string,
  { weights, source }: MergedWeights,
  { backend, packing }: { readonly backend: Backend; readonly packing: Packing },
): Promise<number> {
  const { config, tokenizerFolder, template } = source;
  let errors = 0;
  let squares = 0;
  const pack = async ({ name, shape, values }: ModelWeight): Promise<TensorToWrite[]> => {
    const merged = await values();
    const matrix = await packMatrix(backend, merged, shape as [number, number], { ...packing, name });
    const decoded = dequantize4bit(matrix);
    for (let i = 0; i < merged.length; i++) {
      errors += (decoded[i] - merged[i]) ** 2;
      squares += merged[i] ** 2;
    }
    return packedTensors(name, matrix, 'bfloat16', backend.memory);
  };
  const tensors: TensorToStream[] = [];
  for (const weight of weights)
    tensors.push(...(weight.isLinear ? await pack(weight) : weightTensors([weight], 'bf16')));
  await writeModelFolder(folder, {
    tensors,
    config: { ...configWithDtype(config, 'bf16'), quantization_config: quantizationConfig(packing, config) },
    tokenizerFolder,
    template,
  });
  return squares === 0 ? 0 : Math.sqrt(errors / squares);
}
