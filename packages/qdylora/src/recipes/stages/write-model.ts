import { copyFileSync, existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { canonicalJson, openCheckpoint, writeFileDurably, writeFolderAtomically, writeSafetensors, type Checkpoint, type CheckpointConfig, type TensorToWrite } from '@qdylora/checkpoint';
import { bfloat16Array, elementsOf, type ArrayView } from '@qdylora/contract';
import type { Parameter } from '@qdylora/tensor';

export type SaveDtype = 'bf16' | 'f32';
const CONFIG_DTYPES: Readonly<Record<SaveDtype, string>> = { bf16: 'bfloat16', f32: 'float32' };

/** Files beside the weights that a Hugging Face folder may have, and that a copy of the model takes along. */
const COMPANIONS = ['tokenizer.json', 'tokenizer_config.json', 'special_tokens_map.json', 'chat_template.jinja', 'generation_config.json'] as const;

export interface ModelFolder {
  readonly tensors: Iterable<TensorToWrite>;
  /** Content of `config.json`. */
  readonly config: Readonly<Record<string, unknown>>;
  /** Folder or file whose tokenizer belongs to the model; null = none. */
  readonly tokenizerFolder: string | null;
  readonly replace?: boolean;
}

/** Writes a Hugging Face folder, all or nothing: `config.json`, `model.safetensors`, the tokenizer's files. */
export async function writeModelFolder(folder: string, { tensors, config, tokenizerFolder, replace }: ModelFolder): Promise<void> {
  await writeFolderAtomically(folder, async (temporary) => {
    writeSafetensors(join(temporary, 'model.safetensors'), tensors, { metadata: { format: 'pt' } });
    writeFileDurably(join(temporary, 'config.json'), [Buffer.from(canonicalJson(config))]);
    if (tokenizerFolder !== null) await copyCompanions(tokenizerFolder, temporary);
  }, { replace });
}

/** Copies files as they are; from a file that holds its tokenizer (GGUF), writes what was read out of it. */
async function copyCompanions(from: string, to: string): Promise<void> {
  if (statSync(from).isDirectory() && existsSync(join(from, 'config.json'))) {
    for (const name of COMPANIONS) if (existsSync(join(from, name))) copyFileSync(join(from, name), join(to, name));
    return;
  }
  using checkpoint = await openCheckpoint(from);
  for (const [name, content] of companionsOf(checkpoint)) if (content !== null) writeFileDurably(join(to, name), [Buffer.from(typeof content === 'string' ? content : JSON.stringify(content))]);
}

const companionsOf = ({ tokenizerFiles, generationConfig }: Checkpoint): [string, unknown][] => [
  ['tokenizer.json', tokenizerFiles.tokenizerJson], ['tokenizer_config.json', tokenizerFiles.tokenizerConfig],
  ['chat_template.jinja', tokenizerFiles.chatTemplate], ['generation_config.json', generationConfig],
];

/** A model's weights, turned into the wanted type one after the other as the file is written. */
export const parameterTensors = (parameters: readonly Parameter[], dtype: SaveDtype): TensorToWrite[] =>
  parameters.map(({ name, view }) => ({ name, dtype: dtype === 'bf16' ? 'BF16' : 'F32', shape: view.shape, bytes: () => bytesIn(float32Of(view), dtype) }));

/** Numbers as the bytes of a safetensors file. */
export function bytesIn(values: Float32Array, dtype: SaveDtype): Uint8Array {
  const stored = dtype === 'bf16' ? bfloat16Array(values) : values;
  return new Uint8Array(stored.buffer, stored.byteOffset, stored.byteLength);
}

const float32Of = (view: ArrayView): Float32Array => elementsOf(view) as Float32Array;

/** The config of a model whose weights are of another type now, and in full precision. */
export function configWithDtype(config: CheckpointConfig, dtype: SaveDtype): Record<string, unknown> {
  const { quantization_config: _, torch_dtype: __, ...raw } = config.raw;
  return { ...raw, dtype: CONFIG_DTYPES[dtype] };
}

