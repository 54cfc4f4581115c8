import { QdyloraError, UnsupportedArchitectureError } from '@qdylora/contract';
import { printedName } from '../bad-file.ts';

/** How the tensors of one GGUF architecture are called, and lie, in a Hugging Face checkpoint. */
export interface GgufArchitecture {
  /** `model_type` of the config. */
  readonly modelType: string;
  readonly className: string;
  /** True where the converter interleaved the rows of q and k, so that neighbours rotate instead of halves. */
  readonly interleavesQk: boolean;
}

/** The architectures that are read; others bake changes into weights (Gemma adds 1 to its norms) and each needs its own rule. */
export const GGUF_ARCHITECTURES: ReadonlyMap<string, GgufArchitecture> = new Map([
  ['llama', { modelType: 'llama', className: 'LlamaForCausalLM', interleavesQk: true }],
  ['qwen2', { modelType: 'qwen2', className: 'Qwen2ForCausalLM', interleavesQk: false }],
  ['qwen3', { modelType: 'qwen3', className: 'Qwen3ForCausalLM', interleavesQk: false }],
]);

/** @throws UnsupportedArchitectureError naming the ones that are read. */
export function ggufArchitecture(path: string, name: unknown): GgufArchitecture {
  const found = typeof name === 'string' ? GGUF_ARCHITECTURES.get(name) : undefined;
  if (!found) throw new UnsupportedArchitectureError(path, typeof name === 'string' ? printedName(name) : 'none', [...GGUF_ARCHITECTURES.keys()]);
  return found;
}

const OUTER_NAMES: ReadonlyMap<string, string> = new Map([['token_embd', 'model.embed_tokens'], ['output_norm', 'model.norm'], ['output', 'lm_head']]);

const LAYER_NAMES: ReadonlyMap<string, string> = new Map([
  ['attn_norm', 'input_layernorm'], ['ffn_norm', 'post_attention_layernorm'],
  ['attn_q', 'self_attn.q_proj'], ['attn_k', 'self_attn.k_proj'], ['attn_v', 'self_attn.v_proj'], ['attn_output', 'self_attn.o_proj'],
  ['attn_q_norm', 'self_attn.q_norm'], ['attn_k_norm', 'self_attn.k_norm'],
  ['ffn_gate', 'mlp.gate_proj'], ['ffn_up', 'mlp.up_proj'], ['ffn_down', 'mlp.down_proj'],
]);

/**
 * `blk.3.attn_q.weight` → `model.layers.3.self_attn.q_proj.weight`.
 *
 * @throws QdyloraError UNSUPPORTED for a tensor without a place in these architectures (experts, for one).
 */
export function huggingFaceName(path: string, name: string): string {
  const [, stem = '', suffix = ''] = /^(.*)\.(weight|bias)$/.exec(name) ?? [], layer = /^blk\.(0|[1-9]\d{0,5})\.([a-z_]+)$/.exec(stem);
  const inner = layer ? LAYER_NAMES.get(layer[2]!) : undefined, outer = OUTER_NAMES.get(stem);
  if (layer && inner) return `model.layers.${layer[1]}.${inner}.${suffix}`;
  if (outer) return `${outer}.${suffix}`;
  throw new QdyloraError('UNSUPPORTED', {
    where: 'gguf', problem: `${path}: expected tensors of a dense decoder (${[...LAYER_NAMES.keys()].join(', ')}), got ${printedName(name)}`,
    nextStep: 'Use the safetensors folder of the same model.', details: { path, tensor: name },
  });
}
