import { copyFileSync, existsSync, mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import {
  canonicalJson,
  isCompanionFile,
  openCheckpoint,
  TEMPLATE_FOLDER,
  writeFileDurably,
  writeFolderAtomically,
  writeShards,
  type Checkpoint,
  type CheckpointConfig,
  type TensorToStream,
} from '@qdylora/checkpoint';
import { bfloat16Array, float16Array, LARGEST_FLOAT16, QdyloraError } from '@qdylora/contract';
import type { StoredTemplate } from '../adapter/adapter-sidecar.ts';

export type SaveDtype = 'bf16' | 'f16' | 'f32';
const CONFIG_DTYPES: Readonly<Record<SaveDtype, string>> = {
  bf16: 'bfloat16',
  f16: 'float16',
  f32: 'float32',
};
const FILE_DTYPES = { bf16: 'BF16', f16: 'F16', f32: 'F32' } as const;

/** A weight by name, made when its turn comes. */
export interface NamedWeight {
  readonly name: string;
  readonly shape: readonly number[];
  readonly values: () => Float32Array | Promise<Float32Array>;
}

/**
 * Weights as tensors of a safetensors file.
 *
 * @throws QdyloraError NON_FINITE, while it is written, for a value beyond float16
 */
export const weightTensors = (weights: readonly NamedWeight[], dtype: SaveDtype): TensorToStream[] =>
  weights.map(({ name, shape, values }) => ({
    name,
    dtype: FILE_DTYPES[dtype],
    shape,
    bytes: async () => bytesIn(await values(), dtype, name),
  }));

export interface ModelFolder {
  readonly tensors: Iterable<TensorToStream>;
  /** Content of `config.json`. */
  readonly config: Readonly<Record<string, unknown>>;
  /** Folder or file whose tokenizer belongs to the model; null = none. */
  readonly tokenizerFolder: string | null;
  /** In place of the chat template of the tokenizer's folder. */
  readonly template?: StoredTemplate | null;
  readonly replace?: boolean;
  /** Largest file of weights; 5 GB by default. */
  readonly shardBytes?: number;
}

/** Writes a Hugging Face folder, all or nothing: `config.json`, the weights, the tokenizer's files. */
export async function writeModelFolder(
  folder: string,
  { tensors, config, tokenizerFolder, template, replace, shardBytes }: ModelFolder,
): Promise<void> {
  await writeFolderAtomically(
    folder,
    async (temporary) => {
      await writeShards(temporary, tensors, { metadata: { format: 'pt' }, shardBytes });
      await writeModelFiles(temporary, { config, tokenizerFolder, template });
    },
    { replace },
  );
}

/** Keys of which transformers 5 refuses a whole number: it wants `30.0`, and JavaScript prints `30`. */
const FLOAT_KEYS = [
  'attn_logit_softcapping',
  'final_logit_softcapping',
  'initializer_range',
  'layer_norm_eps',
  'layer_norm_epsilon',
  'rms_norm_eps',
] as const;
const WHOLE_FLOAT = new RegExp(`^(\\s*"(?:${FLOAT_KEYS.join('|')})": -?\\d+)(,?)$`, 'gm');

const configJson = (config: Readonly<Record<string, unknown>>): string =>
  canonicalJson(config).replace(WHOLE_FLOAT, '$1.0$2');

/** Writes the files beside the weights of a Hugging Face folder: `config.json` and the tokenizer. */
export async function writeModelFiles(
  folder: string,
  { config, tokenizerFolder, template }: Pick<ModelFolder, 'config' | 'tokenizerFolder' | 'template'>,
): Promise<void> {
  writeFileDurably(join(folder, 'config.json'), [Buffer.from(configJson(config))]);
  if (tokenizerFolder !== null) await copyCompanions(tokenizerFolder, folder);
  if (!template) return;
  rmSync(join(folder, TEMPLATE_FOLDER), { recursive: true, force: true });
  writeFileDurably(join(folder, 'chat_template.jinja'), [Buffer.from(template.source)]);
}

/** Copies the files of a tokenizer; from a file that contains one (GGUF), writes its content. */
async function copyCompanions(from: string, to: string): Promise<void> {
  using checkpoint = await openCheckpoint(from);
  if (checkpoint.format !== 'gguf' && statSync(from).isDirectory()) {
    for (const name of companionsIn(from)) {
      mkdirSync(dirname(join(to, name)), { recursive: true });
      copyFileSync(join(from, name), join(to, name));
    }
    return;
  }
  for (const [name, content] of companionsOf(checkpoint)) {
    if (content === null) continue;
    mkdirSync(dirname(join(to, name)), { recursive: true });
    const text = typeof content === 'string' ? content : JSON.stringify(content);
    writeFileDurably(join(to, name), [Buffer.from(text)]);
  }
}

/** Names of a folder's files beside config and weights. */
const companionsIn = (folder: string): string[] =>
  [
    ...readdirSync(folder),
    ...(existsSync(join(folder, TEMPLATE_FOLDER))
      ? readdirSync(join(folder, TEMPLATE_FOLDER)).map((name) => `${TEMPLATE_FOLDER}/${name}`)
      : []),
  ].filter(isCompanionFile);

const companionsOf = ({ tokenizerFiles, generationConfig }: Checkpoint): [string, unknown][] => [
  ['tokenizer.json', tokenizerFiles.tokenizerJson],
  ['tokenizer_config.json', tokenizerFiles.tokenizerConfig],
  ['chat_template.jinja', tokenizerFiles.chatTemplate],
  [`${TEMPLATE_FOLDER}/tool_use.jinja`, tokenizerFiles.toolTemplate],
  ['generation_config.json', generationConfig],
];

/**
 * Numbers as the bytes of a safetensors file.
 *
 * @throws QdyloraError NON_FINITE for a value beyond float16
 */
export function bytesIn(values: Float32Array, dtype: SaveDtype, name = 'a tensor'): Uint8Array {
  const stored =
    dtype === 'bf16' ? bfloat16Array(values) : dtype === 'f16' ? halfArray(values, name) : values;
  return new Uint8Array(stored.buffer, stored.byteOffset, stored.byteLength);
}

function halfArray(values: Float32Array, name: string): Uint16Array {
  const large = values.find((value) => Math.abs(value) > LARGEST_FLOAT16);
  if (large !== undefined)
    throw new QdyloraError('NON_FINITE', {
      where: 'f16',
      problem: `${name} has the value ${large}, but the largest float16 value is ${LARGEST_FLOAT16}.`,
      nextStep: 'Choose bf16 or f32.',
      details: { name },
    });
  return float16Array(values);
}

/**
 * The content of a `config.json` for this model.
 *
 * @throws QdyloraError UNSUPPORTED for rotary divisors of a GGUF file that are not those of Llama 3
 */
export function writableConfig({ raw, rope, path }: CheckpointConfig): Readonly<Record<string, unknown>> {
  const parameters = raw.rope_parameters as { readonly rope_type?: unknown } | undefined;
  if (!rope.factors || parameters?.rope_type === 'llama3') return raw;
  throw new QdyloraError('UNSUPPORTED', {
    where: path,
    problem: 'Its rope_freqs.weight follows no rule that a config.json can name.',
    nextStep: 'Start from the safetensors folder of the same model.',
  });
}

/** The config of a model whose weights have a new type and are not quantized. */
export function configWithDtype(config: CheckpointConfig, dtype: SaveDtype): Record<string, unknown> {
  const { quantization_config: _, torch_dtype: __, ...raw } = writableConfig(config);
  return { ...raw, dtype: CONFIG_DTYPES[dtype] };
}
