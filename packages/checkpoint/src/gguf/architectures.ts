import { QdyloraError, UnsupportedArchitectureError } from '@qdylora/contract';
import { printedName } from '../bad-file.ts';
import type { GgufFacts } from './gguf-facts.ts';
import {
  falconConfig,
  gemma2Config,
  gemma3Config,
  gptNeoXConfig,
  llamaConfig,
  phi3Config,
  withHeadDim,
} from './derived-config.ts';
import type { Layout } from './tensor-layout.ts';

type Names = Readonly<Record<string, string>>;

/** A GGUF architecture: how its keys, tensors and layouts map to a Hugging Face checkpoint. */
export interface GgufArchitecture {
  /** `model_type` of the config. */
  readonly modelType: string;
  readonly className: string;
  /** Prefix of the layers: `model.layers`. */
  readonly layers: string;
  /** Stems of tensor names outside and inside of layers, GGUF → Hugging Face. */
  readonly outer: Names;
  readonly inner: Names;
  /** How the converter rearranged tensors, by stem; tensors that are not listed are unchanged. */
  readonly layouts?: Readonly<Record<string, Layout>>;
  /**
   * Sizes (one number, or one per layer, all equal): config key → GGUF key without the prefix of the
   * architecture.
   */
  readonly sizes: Names;
  /** Config key of the norms' epsilon. */
  readonly epsilon: 'rms_norm_eps' | 'layer_norm_epsilon' | 'layer_norm_eps';
  /** Values that all models of the family share, and that the file does not contain. */
  readonly fixed: Readonly<Record<string, unknown>>;
  /** Further config values; see derived-config.ts. */
  readonly derived?: (facts: GgufFacts) => Record<string, unknown>;
}

const BASE_SIZES: Names = {
  hidden_size: 'embedding_length',
  num_hidden_layers: 'block_count',
  num_attention_heads: 'attention.head_count',
  max_position_embeddings: 'context_length',
};
const SIZES: Names = { ...BASE_SIZES, intermediate_size: 'feed_forward_length' };

const LLAMA_OUTER: Names = { token_embd: 'model.embed_tokens', output_norm: 'model.norm', output: 'lm_head' };

const LLAMA_INNER: Names = {
  attn_norm: 'input_layernorm',
  ffn_norm: 'post_attention_layernorm',
  attn_q: 'self_attn.q_proj',
  attn_k: 'self_attn.k_proj',
  attn_v: 'self_attn.v_proj',
  attn_output: 'self_attn.o_proj',
  ffn_gate: 'mlp.gate_proj',
  ffn_up: 'mlp.up_proj',
  ffn_down: 'mlp.down_proj',
};

/** Norms of the queries and keys of each head (Qwen 3, Gemma 3). */
const HEAD_NORMS: Names = { attn_q_norm: 'self_attn.q_norm', attn_k_norm: 'self_attn.k_norm' };

const LLAMA = {
  layers: 'model.layers',
  outer: LLAMA_OUTER,
  inner: LLAMA_INNER,
  sizes: SIZES,
  epsilon: 'rms_norm_eps',
  fixed: { hidden_act: 'silu' },
} as const;

/** Names that GPT-NeoX and Falcon share. */
const NEOX_INNER: Names = {
  attn_norm: 'input_layernorm',
  ffn_norm: 'post_attention_layernorm',
  ffn_up: 'mlp.dense_h_to_4h',
  ffn_down: 'mlp.dense_4h_to_h',
};

const GEMMA = { ...LLAMA, fixed: { hidden_act: 'gelu_pytorch_tanh', attention_bias: false } } as const;
const GEMMA_LAYOUTS: Readonly<Record<string, Layout>> = {
  output_norm: 'one-more',
  attn_norm: 'one-more',
  ffn_norm: 'one-more',
};

/** Gemma 2 and 3: a norm after each branch too. */
const GEMMA2_TENSORS = {
  inner: {
    ...LLAMA_INNER,
    post_attention_norm: 'post_attention_layernorm',
    ffn_norm: 'pre_feedforward_layernorm',
    post_ffw_norm: 'post_feedforward_layernorm',
  },
  layouts: { ...GEMMA_LAYOUTS, post_attention_norm: 'one-more', post_ffw_norm: 'one-more' },
} as const;
const GEMMA2_FIXED = { hidden_activation: 'gelu_pytorch_tanh', attention_bias: false } as const;

/**
 * The supported architectures. Each is tested on a file of llama.cpp's converter, bit for bit against the
 * original checkpoint.
 */
export const GGUF_ARCHITECTURES: ReadonlyMap<string, GgufArchitecture> = new Map<string, GgufArchitecture>([
  [
    'llama',
    {
      ...LLAMA,
      modelType: 'llama',
      className: 'LlamaForCausalLM',
      layouts: { attn_q: 'interleaved-q', attn_k: 'interleaved-k' },
      derived: llamaConfig,
    },
  ],
  ['qwen2', { ...LLAMA, modelType: 'qwen2', className: 'Qwen2ForCausalLM', derived: withHeadDim }],
  [
    'qwen3',
    {
      ...LLAMA,
      modelType: 'qwen3',
      className: 'Qwen3ForCausalLM',
      inner: { ...LLAMA_INNER, ...HEAD_NORMS },
      derived: llamaConfig,
    },
  ],
  [
    'gemma',
    {
      ...GEMMA,
      modelType: 'gemma',
      className: 'GemmaForCausalLM',
      layouts: GEMMA_LAYOUTS,
      derived: withHeadDim,
    },
  ],
  [
    'gemma2',
    {
      ...GEMMA,
      ...GEMMA2_TENSORS,
      modelType: 'gemma2',
      className: 'Gemma2ForCausalLM',
      fixed: GEMMA2_FIXED,
      derived: gemma2Config,
    },
  ],
  [
    'gemma3',
    {
      ...GEMMA,
      modelType: 'gemma3_text',
      className: 'Gemma3ForCausalLM',
      fixed: { ...GEMMA2_FIXED, attn_logit_softcapping: null },
      inner: { ...GEMMA2_TENSORS.inner, ...HEAD_NORMS },
      layouts: { ...GEMMA2_TENSORS.layouts, attn_q_norm: 'one-more', attn_k_norm: 'one-more' },
      derived: gemma3Config,
    },
  ],
  [
    'falcon',
    {
      modelType: 'falcon',
      className: 'FalconForCausalLM',
      layers: 'transformer.h',
      layouts: { attn_qkv: 'falcon-qkv' },
      outer: {
        token_embd: 'transformer.word_embeddings',
        output_norm: 'transformer.ln_f',
        output: 'lm_head',
      },
      inner: {
        ...NEOX_INNER,
        attn_norm_2: 'ln_attn',
        attn_qkv: 'self_attention.query_key_value',
        attn_output: 'self_attention.dense',
      },
      sizes: { ...BASE_SIZES, ffn_hidden_size: 'feed_forward_length' },
      epsilon: 'layer_norm_epsilon',
      fixed: { activation: 'gelu', alibi: false, bias: false, parallel_attn: true, multi_query: true },
      derived: falconConfig,
    },
  ],
  [
    'gpt2',
    {
      modelType: 'gpt2',
      className: 'GPT2LMHeadModel',
      layers: 'transformer.h',
      layouts: {
        attn_qkv: 'transposed',
        attn_output: 'transposed',
        ffn_up: 'transposed',
        ffn_down: 'transposed',
      },
      outer: {
        token_embd: 'transformer.wte',
        position_embd: 'transformer.wpe',
        output_norm: 'transformer.ln_f',
        output: 'lm_head',
      },
      inner: {
        attn_norm: 'ln_1',
        ffn_norm: 'ln_2',
        attn_qkv: 'attn.c_attn',
        attn_output: 'attn.c_proj',
        ffn_up: 'mlp.c_fc',
        ffn_down: 'mlp.c_proj',
      },
      sizes: {
        n_embd: 'embedding_length',
        n_inner: 'feed_forward_length',
        n_layer: 'block_count',
        n_head: 'attention.head_count',
        n_positions: 'context_length',
      },
      epsilon: 'layer_norm_epsilon',
      fixed: { activation_function: 'gelu_new' },
    },
  ],
  [
    'gptneox',
    {
      modelType: 'gpt_neox',
      className: 'GPTNeoXForCausalLM',
      layers: 'gpt_neox.layers',
      layouts: { attn_qkv: 'neox-qkv' },
      outer: {
        token_embd: 'gpt_neox.embed_in',
        output_norm: 'gpt_neox.final_layer_norm',
        output: 'embed_out',
      },
      inner: { ...NEOX_INNER, attn_qkv: 'attention.query_key_value', attn_output: 'attention.dense' },
      sizes: SIZES,
      epsilon: 'layer_norm_eps',
      fixed: { hidden_act: 'gelu' },
      derived: gptNeoXConfig,
    },
  ],
  [
    'phi3',
    {
      ...LLAMA,
      modelType: 'phi3',
      className: 'Phi3ForCausalLM',
      inner: {
        attn_norm: 'input_layernorm',
        ffn_norm: 'post_attention_layernorm',
        attn_qkv: 'self_attn.qkv_proj',
        attn_output: 'self_attn.o_proj',
        ffn_up: 'mlp.gate_up_proj',
        ffn_down: 'mlp.down_proj',
      },
      derived: phi3Config,
    },
  ],
]);

/** The architecture of that name. @throws UnsupportedArchitectureError that lists the supported ones. */
export function ggufArchitecture(path: string, name: unknown): GgufArchitecture {
  const found = typeof name === 'string' ? GGUF_ARCHITECTURES.get(name) : undefined;
  if (!found)
    throw new UnsupportedArchitectureError(path, typeof name === 'string' ? printedName(name) : 'none', [
      ...GGUF_ARCHITECTURES.keys(),
    ]);
  return found;
}

/** The name and layout of a tensor in a Hugging Face checkpoint. */
export interface HuggingFacePlace {
  readonly name: string;
  readonly layout: Layout | undefined;
}

/**
 * Maps `blk.3.attn_q.weight` → `model.layers.3.self_attn.q_proj.weight`.
 *
 * @throws QdyloraError UNSUPPORTED for a tensor that the architecture does not have (such as experts).
 */
export function huggingFacePlace(
  path: string,
  { layers, outer, inner, layouts = {} }: GgufArchitecture,
  name: string,
): HuggingFacePlace {
  const [, stem = '', suffix = ''] = /^(.*)\.(weight|bias)$/.exec(name) ?? [];
  const [, index = '', part = ''] = /^blk\.(0|[1-9]\d{0,5})\.([a-z_0-9]+)$/.exec(stem) ?? [];
  const layout = (key: string): Layout | undefined =>
    layouts[key] === 'transposed' && suffix === 'bias' ? undefined : layouts[key];
  if (Object.hasOwn(inner, part))
    return { name: `${layers}.${index}.${inner[part]}.${suffix}`, layout: layout(part) };
  if (Object.hasOwn(outer, stem)) return { name: `${outer[stem]}.${suffix}`, layout: layout(stem) };
  throw new QdyloraError('UNSUPPORTED', {
    where: 'gguf',
    problem:
      `${path}: the tensor ${printedName(name)} does not belong to a dense decoder, whose ` +
      `tensors are ${Object.keys(inner).join(', ')}.`,
    nextStep: 'Use the safetensors folder of the same model.',
    details: { path, tensor: name },
  });
}
