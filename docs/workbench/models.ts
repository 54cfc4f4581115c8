/** A model to plan for: what its `config.json` says that memory depends on. */
export interface KnownModel {
  readonly name: string;
  /** Parameters, as its authors or transformers count them. */
  readonly parameterCount: number;
  readonly config: Readonly<Record<string, unknown>>;
}

type Sizes = readonly [hidden: number, layers: number, heads: number, kvHeads: number];

const llama = ([hidden, layers, heads, kvHeads]: Sizes, more: Readonly<Record<string, unknown>>) => ({
  model_type: 'llama',
  hidden_size: hidden,
  num_hidden_layers: layers,
  num_attention_heads: heads,
  num_key_value_heads: kvHeads,
  hidden_act: 'silu',
  rms_norm_eps: 1e-5,
  tie_word_embeddings: false,
  dtype: 'bfloat16',
  ...more,
});

const qwen3 = (sizes: Sizes, inner: number, isTied: boolean) => ({
  ...llama(sizes, {
    intermediate_size: inner,
    vocab_size: 151936,
    head_dim: 128,
    tie_word_embeddings: isTied,
    max_position_embeddings: 40960,
  }),
  model_type: 'qwen3',
});

const qwen2 = (sizes: Sizes, more: Readonly<Record<string, unknown>>) => ({
  ...llama(sizes, { max_position_embeddings: 32768, ...more }),
  model_type: 'qwen2',
});

const LLAMA_32 = { vocab_size: 128256, max_position_embeddings: 131072, tie_word_embeddings: true };

/** The models of the paper, then current ones by size. A test compares the counts with those of the code. */
export const KNOWN_MODELS: readonly KnownModel[] = [
  {
    name: 'LLaMA-7b (paper)',
    parameterCount: 6_738_415_616,
    config: llama([4096, 32, 32, 32], {
      intermediate_size: 11008,
      vocab_size: 32000,
      max_position_embeddings: 2048,
      dtype: 'float16',
    }),
  },
  {
    name: 'LLaMA-13b (paper)',
    parameterCount: 13_015_864_320,
    config: llama([5120, 40, 40, 40], {
      intermediate_size: 13824,
      vocab_size: 32000,
      max_position_embeddings: 2048,
      dtype: 'float16',
    }),
  },
  {
    name: 'LLaMA 2 13b (paper)',
    parameterCount: 13_015_864_320,
    config: llama([5120, 40, 40, 40], {
      intermediate_size: 13824,
      vocab_size: 32000,
      max_position_embeddings: 4096,
      dtype: 'float16',
    }),
  },
  {
    name: 'Falcon-40b (paper)',
    parameterCount: 41_303_293_952,
    config: {
      model_type: 'falcon',
      hidden_size: 8192,
      num_hidden_layers: 60,
      num_attention_heads: 128,
      num_kv_heads: 8,
      new_decoder_architecture: true,
      parallel_attn: true,
      multi_query: true,
      bias: false,
      alibi: false,
      layer_norm_epsilon: 1e-5,
      vocab_size: 65024,
      tie_word_embeddings: true,
      dtype: 'bfloat16',
    },
  },
  {
    name: 'SmolLM2-135M',
    parameterCount: 134_515_008,
    config: llama([576, 30, 9, 3], {
      intermediate_size: 1536,
      vocab_size: 49152,
      max_position_embeddings: 8192,
      tie_word_embeddings: true,
    }),
  },
  {
    name: 'SmolLM2-360M',
    parameterCount: 361_821_120,
    config: llama([960, 32, 15, 5], {
      intermediate_size: 2560,
      vocab_size: 49152,
      max_position_embeddings: 8192,
      tie_word_embeddings: true,
    }),
  },
  {
    name: 'Qwen2.5-0.5B',
    parameterCount: 494_032_768,
    config: qwen2([896, 24, 14, 2], {
      intermediate_size: 4864,
      vocab_size: 151936,
      tie_word_embeddings: true,
    }),
  },
  { name: 'Qwen3-0.6B', parameterCount: 596_049_920, config: qwen3([1024, 28, 16, 8], 3072, true) },
  {
    name: 'TinyLlama-1.1B',
    parameterCount: 1_100_048_384,
    config: llama([2048, 22, 32, 4], {
      intermediate_size: 5632,
      vocab_size: 32000,
      max_position_embeddings: 2048,
    }),
  },
  {
    name: 'Llama-3.2-1B',
    parameterCount: 1_235_814_400,
    config: llama([2048, 16, 32, 8], { intermediate_size: 8192, head_dim: 64, ...LLAMA_32 }),
  },
  {
    name: 'SmolLM2-1.7B',
    parameterCount: 1_711_376_384,
    config: llama([2048, 24, 32, 32], {
      intermediate_size: 8192,
      vocab_size: 49152,
      max_position_embeddings: 8192,
      tie_word_embeddings: true,
    }),
  },
  { name: 'Qwen3-1.7B', parameterCount: 1_720_574_976, config: qwen3([2048, 28, 16, 8], 6144, true) },
  {
    name: 'Llama-3.2-3B',
    parameterCount: 3_212_749_824,
    config: llama([3072, 28, 24, 8], { intermediate_size: 8192, head_dim: 128, ...LLAMA_32 }),
  },
  {
    name: 'Phi-3-mini',
    parameterCount: 3_821_079_552,
    config: {
      ...llama([3072, 32, 32, 32], {
        intermediate_size: 8192,
        vocab_size: 32064,
        max_position_embeddings: 4096,
      }),
      model_type: 'phi3',
    },
  },
  { name: 'Qwen3-4B', parameterCount: 4_022_468_096, config: qwen3([2560, 36, 32, 8], 9728, true) },
  {
    name: 'Mistral-7B-v0.3',
    parameterCount: 7_248_023_552,
    config: {
      ...llama([4096, 32, 32, 8], {
        intermediate_size: 14336,
        vocab_size: 32768,
        max_position_embeddings: 32768,
        sliding_window: null,
      }),
      model_type: 'mistral',
    },
  },
  {
    name: 'Qwen2.5-7B',
    parameterCount: 7_615_616_512,
    config: qwen2([3584, 28, 28, 4], { intermediate_size: 18944, vocab_size: 152064 }),
  },
  {
    name: 'Llama-3.1-8B',
    parameterCount: 8_030_261_248,
    config: llama([4096, 32, 32, 8], {
      intermediate_size: 14336,
      vocab_size: 128256,
      max_position_embeddings: 131072,
    }),
  },
  { name: 'Qwen3-8B', parameterCount: 8_190_735_360, config: qwen3([4096, 36, 32, 8], 12288, false) },
];
