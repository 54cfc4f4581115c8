import { QdyloraError } from '@qdylora/contract';
import { configReader, type ConfigReader } from '../config/config-reader.ts';
import { kindOf } from '../json/kind-of.ts';
import type { GgufArchitecture } from './architectures.ts';
import type { GgufFacts } from './gguf-facts.ts';
import { MAX_LAYERS } from './file/gguf-limits.ts';
import type { GgufFile, GgufValue } from './file/read-gguf.ts';

/** GGUF metadata as a checked record. */
export const metadataReader = (path: string, metadata: ReadonlyMap<string, GgufValue>): ConfigReader =>
  configReader(path, Object.fromEntries(metadata));

/** Collects the inputs of the config. @throws QdyloraError BAD_CONFIG; UNSUPPORTED for experts. */
export function ggufFacts(
  path: string,
  { metadata, tensors }: GgufFile,
  readTensor: GgufFacts['readTensor'],
): GgufFacts {
  const values = metadataReader(path, metadata);
  const prefix = values.string('general.architecture');
  const key = (name: string): string => `${prefix}.${name}`;
  const experts = values.integer(key('expert_count'), 0);
  if (experts > 0)
    throw unsupported(
      path,
      `only dense models are supported, but this one has ${experts} experts`,
      'Choose a dense model.',
    );
  const heads = everyLayer(values, key('attention.head_count'));
  const hiddenSize = positive(values, key('embedding_length'));
  const kvHeads = everyLayer(values, key('attention.head_count_kv'), heads);
  const layers = positive(values, key('block_count'));
  if (layers > MAX_LAYERS) throw values.wrong(`at most ${MAX_LAYERS} layers`, key('block_count'));
  if (heads % kvHeads !== 0)
    throw values.wrong(`a divisor of ${heads} heads`, key('attention.head_count_kv'));
  return {
    path,
    values,
    key,
    tensors,
    hiddenSize,
    heads,
    kvHeads,
    layers,
    headDim: positive(values, key('attention.key_length'), Math.floor(hiddenSize / heads)),
    readTensor,
  };
}

/** The `config.json` of the same model. @throws QdyloraError BAD_CONFIG, UNSUPPORTED. */
export function ggufConfig(
  facts: GgufFacts,
  { modelType, className, sizes, epsilon, fixed, derived }: GgufArchitecture,
): Record<string, unknown> {
  const { values, key, tensors } = facts;
  const embedding = tensors.get('token_embd.weight');
  const config: Record<string, unknown> = {
    model_type: modelType,
    architectures: [className],
    ...fixed,
    vocab_size: embedding?.shape[0] ?? positive(values, key('vocab_size')),
    tie_word_embeddings: !tensors.has('output.weight'),
    [epsilon]: values.number(
      key(epsilon === 'rms_norm_eps' ? 'attention.layer_norm_rms_epsilon' : 'attention.layer_norm_epsilon'),
    ),
  };
  for (const [name, from] of Object.entries(sizes)) config[name] = everyLayer(values, key(from));
  Object.assign(config, derived?.(facts));
  for (const [name, from] of TOKEN_IDS) if (values.has(from)) config[name] = values.integer(from);
  if (values.has('general.name')) config._name_or_path = values.string('general.name');
  return config;
}

const TOKEN_IDS = [
  ['bos_token_id', 'tokenizer.ggml.bos_token_id'],
  ['eos_token_id', 'tokenizer.ggml.eos_token_id'],
  ['pad_token_id', 'tokenizer.ggml.padding_token_id'],
] as const;

const unsupported = (path: string, problem: string, nextStep: string): QdyloraError =>
  new QdyloraError('UNSUPPORTED', {
    where: 'gguf',
    problem: `${path}: ${problem}`,
    nextStep,
    details: { path },
  });

function positive(values: ConfigReader, key: string, otherwise?: number): number {
  const value = values.integer(key, otherwise);
  if (value < 1) throw values.wrong('a whole number ≥ 1', key);
  return value;
}

/** A number that is stored once or per layer; all layers must agree. */
function everyLayer(values: ConfigReader, key: string, otherwise?: number): number {
  const list = values.raw[key];
  if (!Array.isArray(list)) return positive(values, key, otherwise);
  if (!Number.isSafeInteger(list[0]) || list[0] < 1) throw values.wrong('a whole number ≥ 1', key);
  if (list.some((value) => value !== list[0])) {
    throw unsupported(
      values.path,
      `${key} must have one value in all layers (got ${kindOf(list)} of different ones)`,
      'Choose a model whose layers are alike.',
    );
  }
  return list[0] as number;
}
