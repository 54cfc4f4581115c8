import {
  apply,
  differentiableActivationGate,
  differentiableSplitColumns,
  type LinearLike,
  type RmsNormLayer,
} from '@qdylora/tensor';
import { acceptOnly, refusedValue } from '../config/refuse-value.ts';
import { readWindow } from '../config/read-windows.ts';
import { fusedAttention, type FusedAttention } from '../layers/fused-attention.ts';
import type { Hidden, LayerPass } from '../layers/layer-pass.ts';
import { residualSum } from '../layers/residual-sum.ts';
import type { Family } from './family.ts';
import { LLAMA_NAMES, llamaNorm, readLlamaConfig, type LlamaConfig } from './llama.ts';

export interface Phi3Layer {
  readonly inputNorm: RmsNormLayer;
  readonly attention: FusedAttention;
  readonly mlpNorm: RmsNormLayer;
  readonly mlp: { readonly gateUpProj: LinearLike; readonly downProj: LinearLike };
}

/** The first Phi-3 configs call LongRoPE `su` or `yarn`. */
const LONGROPE_NAMES: Readonly<Record<string, string>> = { su: 'longrope', yarn: 'longrope' };

/**
 * Phi-3 and Phi-4-mini: Llama with one matrix for q, k and v and one for gate and up; rotary embedding of a
 * share of each head, with LongRoPE (Abdin et al. 2024).
 *
 *     h = x + attention(norm(x))
 *     y = h + mlp(norm(h))
 */
export const phi3: Family<LlamaConfig, Phi3Layer> = {
  modelType: 'phi3',
  names: LLAMA_NAMES,
  peftTargets: null,
  norm: llamaNorm,

  readConfig(config) {
    for (const key of ['resid_pdrop', 'embd_pdrop']) acceptOnly(config, key, [0]);
    const window = readWindow(config);
    const rope = { partial: 1, originalMaxPositions: 4096, typeNames: LONGROPE_NAMES } as const;
    if (!['default', 'longrope', ...Object.keys(LONGROPE_NAMES)].includes(config.rope.type))
      throw refusedValue(config, 'rope_type', 'default or longrope', config.rope.type);
    return readLlamaConfig(config, {
      epsilon: config.number('rms_norm_eps', 1e-5),
      defaultMaxPositions: 4096,
      windowOf: () => window,
      rope,
    });
  },

  buildLayer(config, weights, at, i) {
    const { hiddenSize, intermediateSize } = config;
    const { heads, kvHeads, headDim } = config.attention[i];
    return {
      inputNorm: llamaNorm(config, weights, `${at}.input_layernorm`),
      attention: {
        queryKeyValue: weights.linear(`${at}.self_attn.qkv_proj`, [
          (heads + 2 * kvHeads) * headDim,
          hiddenSize,
        ]),
        dense: weights.linear(`${at}.self_attn.o_proj`, [hiddenSize, heads * headDim]),
      },
      mlpNorm: llamaNorm(config, weights, `${at}.post_attention_layernorm`),
      mlp: {
        gateUpProj: weights.linear(`${at}.mlp.gate_up_proj`, [2 * intermediateSize, hiddenSize]),
        downProj: weights.linear(`${at}.mlp.down_proj`, [hiddenSize, intermediateSize]),
      },
    };
  },

  forward(layer, config, pass, x) {
    const { ctx } = pass;
    const attentionInput = layer.inputNorm.forward(ctx, x);
    const attended = fusedAttention(layer.attention, 'side by side', pass, attentionInput);
    // h = x + attended, and its norm, in one op
    const { sum: h, y: mlpInput } = layer.mlpNorm.forwardSum(ctx, x, attended);
    return residualSum(pass, h, fusedGatedMlp(layer.mlp, config, pass, mlpInput));
  },
};

/** A gated MLP whose gate rows precede its up rows in one matrix.  x: [tokens, hidden] → [tokens, hidden] */
function fusedGatedMlp(
  { gateUpProj, downProj }: Phi3Layer['mlp'],
  { intermediateSize, activation: kind }: LlamaConfig,
  { ctx }: LayerPass,
  x: Hidden,
): Hidden {
  const { first: gate, second: up } = apply(
    ctx,
    differentiableSplitColumns,
    { x: gateUpProj.forward(ctx, x) },
    { groups: 1, widths: [intermediateSize, intermediateSize] },
  );
  return downProj.forward(ctx, apply(ctx, differentiableActivationGate, { gate, up }, { kind }).y);
}
