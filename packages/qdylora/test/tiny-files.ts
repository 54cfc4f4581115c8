import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeSafetensors } from '@qdylora/checkpoint';
import { hostData, createHostBackend } from '@qdylora/contract';
import { initializeModel } from '@qdylora/models';
import { bytesIn } from '../src/recipes/outputs/write-model.ts';

export const TINY_CONFIG = {
  architectures: ['LlamaForCausalLM'],
  model_type: 'llama',
  hidden_size: 16,
  intermediate_size: 24,
  num_hidden_layers: 1,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  head_dim: 8,
  vocab_size: 104,
  max_position_embeddings: 128,
  rms_norm_eps: 1e-5,
  rope_theta: 10000,
  tie_word_embeddings: true,
  hidden_act: 'silu',
  initializer_range: 0.1,
  eos_token_id: 1,
  bos_token_id: 0,
};

export interface TinyOptions {
  readonly seed?: number;
  readonly config?: object;
  readonly tokenizer?: boolean;
}

/**
 * Writes a Llama folder of random weights: big enough to learn a pattern, small enough for the host backend.
 */
export function writeTinyModel(
  folder: string,
  { seed = 5, config = {}, tokenizer = false }: TinyOptions = {},
): string {
  const backend = createHostBackend();
  const tinyConfig = { ...TINY_CONFIG, ...config };
  const model = initializeModel(tinyConfig, { backend, seed });
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'config.json'), JSON.stringify(tinyConfig));
  writeSafetensors(
    join(folder, 'model.safetensors'),
    model.parameters().map(({ name, view }) => ({
      name,
      dtype: 'F32',
      shape: view.shape,
      bytes: bytesIn(hostData(view) as Float32Array, 'f32'),
    })),
  );
  if (tokenizer) writeTinyTokenizer(folder);
  backend.memory.dispose();
  return folder;
}

/** One token for each printable ASCII character, and a chat template of one line. */
export function writeTinyTokenizer(folder: string): void {
  const characters = Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i)).map((c) =>
    c === ' ' ? 'Ġ' : c,
  );
  const special = ['<s>', '</s>'];
  const vocab = Object.fromEntries([...special, ...characters, 'Ċ'].map((token, id) => [token, id]));
  const added = special.map((content, id) => ({
    id,
    content,
    special: true,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
  }));
  const bytes = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true };
  writeFileSync(
    join(folder, 'tokenizer.json'),
    JSON.stringify({
      version: '1.0',
      added_tokens: added,
      normalizer: null,
      pre_tokenizer: bytes,
      post_processor: null,
      decoder: bytes,
      model: {
        type: 'BPE',
        dropout: null,
        unk_token: null,
        continuing_subword_prefix: null,
        end_of_word_suffix: null,
        fuse_unk: false,
        byte_fallback: false,
        vocab,
        merges: [],
      },
    }),
  );
  writeFileSync(
    join(folder, 'tokenizer_config.json'),
    JSON.stringify({
      bos_token: '<s>',
      eos_token: '</s>',
      chat_template:
        '{% for m in messages %}{{ m.role[0] }}:{{ m.content }}\n{% endfor %}{% if add_generation_prompt ' +
        '%}a:{% endif %}',
    }),
  );
}

/** Rows that count upwards by a step of their own: `labels` leave the first three ids out. */
export function writeTinyRows(path: string, rows = 16): string {
  const lines = Array.from({ length: rows }, (_, i) => {
    const ids = Array.from({ length: 5 + (i % 4) }, (_, t) => 3 + ((i * 7 + t * 3) % 90));
    return JSON.stringify({ input_ids: ids, labels: ids.map((id, t) => (t < 2 ? -100 : id)) });
  });
  writeFileSync(path, `${lines.join('\n')}\n`);
  return path;
}

/** Rows of so many tokens each, all counted. */
export function writeRowsOf(path: string, lengths: readonly number[]): string {
  writeFileSync(
    path,
    lengths
      .map(
        (length, i) =>
          `${JSON.stringify({ input_ids: Array.from({ length }, (_, t) => 3 + ((i * 7 + t * 3) % 90)) })}\n`,
      )
      .join(''),
  );
  return path;
}
