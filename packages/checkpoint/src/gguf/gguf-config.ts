import { QdyloraError } from '@qdylora/contract';
import { configReader, type ConfigReader } from '../config-reader.ts';
import { kindOf } from '../json/read-json-file.ts';
import type { GgufArchitecture } from './architectures.ts';
import type { GgufFile, GgufValue } from './read-gguf.ts';

/** GGUF metadata as a checked record. */
export const metadataReader = (path: string, metadata: ReadonlyMap<string, GgufValue>): ConfigReader => configReader(path, Object.fromEntries(metadata));

/** What `config.json` of the same model would say, from the metadata. @throws QdyloraError BAD_CONFIG, UNSUPPORTED. */
export function ggufConfig(path: string, { metadata, tensors }: GgufFile, { modelType, className }: GgufArchitecture): Record<string, unknown> {
  const values = metadataReader(path, metadata), prefix = values.string('general.architecture');
  const key = (name: string): string => `${prefix}.${name}`;
  const experts = values.integer(key('expert_count'), 0);
  if (experts > 0) throw unsupported(path, `expected a dense model, got ${experts} experts`, 'Choose a dense model.');
  const parts = values.integer('split.count', 1);
  if (parts > 1) throw unsupported(path, `expected a whole model in one file, got one of ${parts} parts`, 'Join them with llama.cpp: llama-gguf-split --merge.');

  const heads = everyLayer(path, values, key('attention.head_count')), hiddenSize = positive(values, key('embedding_length'));
  const headDim = positive(values, key('attention.key_length'), Math.floor(hiddenSize / heads)), embedding = tensors.get('token_embd.weight');
  const config: Record<string, unknown> = {
    model_type: modelType, architectures: [className], hidden_act: 'silu',
    hidden_size: hiddenSize, intermediate_size: everyLayer(path, values, key('feed_forward_length')), num_hidden_layers: positive(values, key('block_count')),
    num_attention_heads: heads, num_key_value_heads: everyLayer(path, values, key('attention.head_count_kv'), heads),
    head_dim: headDim,
    rms_norm_eps: values.number(key('attention.layer_norm_rms_epsilon')), max_position_embeddings: positive(values, key('context_length')),
    vocab_size: embedding?.shape[0] ?? positive(values, key('vocab_size')), tie_word_embeddings: !tensors.has('output.weight'),
    attention_bias: tensors.has('blk.0.attn_q.bias'), mlp_bias: tensors.has('blk.0.ffn_up.bias'), rope_parameters: ropeParameters(path, values, key, headDim),
  };
  for (const [name, from] of TOKEN_IDS) if (values.has(from)) config[name] = values.integer(from);
  if (metadata.has('general.name')) config._name_or_path = values.string('general.name');
  return config;
}

const TOKEN_IDS = [['bos_token_id', 'tokenizer.ggml.bos_token_id'], ['eos_token_id', 'tokenizer.ggml.eos_token_id'], ['pad_token_id', 'tokenizer.ggml.padding_token_id']] as const;

const unsupported = (path: string, problem: string, nextStep: string): QdyloraError => new QdyloraError('UNSUPPORTED', { where: 'gguf', problem: `${path}: ${problem}`, nextStep, details: { path } });

function positive(values: ConfigReader, key: string, otherwise?: number): number {
  const value = values.integer(key, otherwise);
  if (value < 1) throw values.wrong('a whole number ≥ 1', key);
  return value;
}

/** A number that may be written once or per layer; here all layers must agree. */
function everyLayer(path: string, values: ConfigReader, key: string, otherwise?: number): number {
  const list = values.raw[key];
  if (!Array.isArray(list)) return positive(values, key, otherwise);
  if (!Number.isSafeInteger(list[0]) || list[0] < 1) throw values.wrong('a whole number ≥ 1', key);
  if (list.some((value) => value !== list[0])) {
    throw unsupported(path, `expected one value in all layers for ${key}, got ${kindOf(list)} of different ones`, 'Choose a model whose layers are alike.');
  }
  return list[0] as number;
}

function ropeParameters(path: string, values: ConfigReader, key: (name: string) => string, headDim: number): Record<string, unknown> {
  const parameters: Record<string, unknown> = { rope_type: 'default', rope_theta: values.number(key('rope.freq_base'), 10_000) };
  const rotary = values.integer(key('rope.dimension_count'), headDim);
  if (rotary !== headDim) parameters.partial_rotary_factor = rotary / headDim;
  const scaling = values.string(key('rope.scaling.type'), values.has(key('rope.scale_linear')) ? 'linear' : 'none');
  if (scaling === 'none') return parameters;
  if (values.number(key('rope.scaling.attn_factor'), 1) !== 1) { // llama.cpp multiplies it into its own factor, in ways that changed between versions
    throw unsupported(path, `expected 1 for ${key('rope.scaling.attn_factor')}, got ${values.number(key('rope.scaling.attn_factor'))}`, 'Use the safetensors folder of the same model.');
  }
  parameters.rope_type = scaling;
  parameters.factor = values.number(key('rope.scaling.factor'), values.number(key('rope.scale_linear'), 1));
  if (values.has(key('rope.scaling.original_context_length'))) parameters.original_max_position_embeddings = values.integer(key('rope.scaling.original_context_length'));
  return parameters;
}
