import type { CheckpointConfig } from '@qdylora/checkpoint';
import { f32View, QdyloraError, runOp, type ArrayView } from '@qdylora/contract';
import {
  apply, constant, differentiableActivationGate, differentiableAdd, differentiableCausalAttention, differentiableRope, EmbeddingTable, projectTogether, recompute, RmsNormLayer, ropeTable,
  type ForwardContext, type LinearLike, type Parameter, type Tensor,
} from '@qdylora/tensor';
import type { BatchArrays } from '../batch-arrays.ts';
import type { LayerCache } from '../generate/kv-cache.ts';
import { ropeFrequencies, type RopeFrequencies } from '../rope-frequencies.ts';
import type { WeightSource } from '../weights/weight-source.ts';
import type { Family, FamilyConfig } from './family.ts';

type Hidden = Tensor<ArrayView<'f32'>>;

export interface LlamaConfig extends FamilyConfig {
  readonly heads: number; readonly kvHeads: number; readonly headDim: number; readonly intermediateSize: number;
  readonly epsilon: number; readonly attentionBias: boolean; readonly mlpBias: boolean; readonly tiedHead: boolean; readonly rope: RopeFrequencies;
}

interface LlamaLayer {
  readonly inputLayernorm: RmsNormLayer;
  readonly selfAttn: { readonly qProj: LinearLike; readonly kProj: LinearLike; readonly vProj: LinearLike; readonly oProj: LinearLike };
  readonly postAttentionLayernorm: RmsNormLayer;
  readonly mlp: { readonly gateProj: LinearLike; readonly upProj: LinearLike; readonly downProj: LinearLike };
}

export interface LlamaModules { readonly embedTokens: EmbeddingTable; readonly layers: readonly LlamaLayer[]; readonly norm: RmsNormLayer; readonly lmHead: { readonly name: string; readonly weight: Parameter; parameters(): Parameter[] } }

/** LLaMA 1–3, SmolLM2, TinyLlama: pre-norm blocks, rotary attention with grouped heads, gated MLP (Touvron et al. 2023). */
export const llama: Family<LlamaConfig, LlamaModules> = {
  modelType: 'llama',
  readConfig: readLlamaConfig,
  build: buildLlama,
  head: (modules) => modules.lmHead.weight,

  hidden(modules, config, ctx, batch, cache) {
    const angles = rotaryAngles(config, ctx, batch);
    let x = modules.embedTokens.forward(ctx, batch.ids);                                   // [tokens, hidden]
    modules.layers.forEach((layer, i) => {
      const block = (own: ForwardContext, input: Hidden): Hidden => decoderLayer(layer, config, own, input, batch, angles, cache?.layers[i]);
      x = ctx.recompute || !ctx.tape ? recompute(ctx, x, block) : block(ctx, x);
    });
    return modules.norm.forward(ctx, x);
  },
};

function decoderLayer(layer: LlamaLayer, config: LlamaConfig, ctx: ForwardContext, x: Hidden, batch: BatchArrays, angles: Angles, cache?: LayerCache): Hidden {
  const attended = attention(layer, config, ctx, layer.inputLayernorm.forward(ctx, x), batch, angles, cache);
  const { sum: h, y: normed } = layer.postAttentionLayernorm.forwardSum(ctx, x, attended);
  const { gateProj, upProj, downProj } = layer.mlp;
  const [gate, up] = projectTogether(ctx, [gateProj, upProj], normed) as [Hidden, Hidden];   // [tokens, intermediate]
  const down = downProj.forward(ctx, apply(ctx, differentiableActivationGate, { gate, up }, { kind: 'silu' }).y);
  return apply(ctx, differentiableAdd, { a: h, b: down }, {}, { y: 'b' }).y;
}

function attention({ selfAttn }: LlamaLayer, config: LlamaConfig, ctx: ForwardContext, x: Hidden, batch: BatchArrays, { cos, sin }: Angles, cache?: LayerCache): Hidden {
  const { heads, kvHeads, headDim } = config, turn = { headDim, inverse: false };
  const [q, k, v] = projectTogether(ctx, [selfAttn.qProj, selfAttn.kProj, selfAttn.vProj], x) as [Hidden, Hidden, Hidden];          // [tokens, heads · headDim], kv: [tokens, kvHeads · headDim]
  const [turnedQ, turnedK] = [q, k].map((x) => apply(ctx, differentiableRope, { x, cos, sin }, turn, { y: 'x' }).y) as [Hidden, Hidden];
  const seen = cache ? cache.append(turnedK.view, v.view) : { k: turnedK, v, segments: batch.segments };
  const { y } = apply(ctx, differentiableCausalAttention, {
    q: turnedQ, k: seen.k, v: seen.v, querySegments: constant(batch.segments), keySegments: constant(seen.segments),
  } as never, { heads, kvHeads, headDim, scale: 1 / Math.sqrt(headDim), softCap: 0, window: 0, computeDtype: ctx.computeDtype }) as { y: Hidden };
  return selfAttn.oProj.forward(ctx, y);
}

interface Angles { readonly cos: Hidden; readonly sin: Hidden }

/** cos and sin of every token's angles, once for all layers: [tokens, headDim / 2]. */
function rotaryAngles({ rope }: LlamaConfig, ctx: ForwardContext, { positions }: BatchArrays): Angles {
  const { cos, sin } = runOp(ctx.backend, ropeTable, { positions, inverseFrequencies: f32View([rope.frequencies.length], rope.frequencies) }, { scale: rope.scale });
  return { cos: constant(cos), sin: constant(sin) };
}

function buildLlama(config: LlamaConfig, weights: WeightSource): LlamaModules {
  const { hiddenSize, intermediateSize, heads, kvHeads, headDim, attentionBias, mlpBias, vocabularySize } = config;
  const norm = (name: string): RmsNormLayer => new RmsNormLayer(name, weights.vector(name, hiddenSize), config.epsilon);
  const embedTokens = new EmbeddingTable('model.embed_tokens', weights.table('model.embed_tokens', [vocabularySize, hiddenSize]));
  const layers = Array.from({ length: config.layers }, (_, i): LlamaLayer => {
    const at = `model.layers.${i}`, attn = `${at}.self_attn`, mlp = `${at}.mlp`;
    return {
      inputLayernorm: norm(`${at}.input_layernorm`),
      selfAttn: {
        qProj: weights.linear(`${attn}.q_proj`, [heads * headDim, hiddenSize], attentionBias), kProj: weights.linear(`${attn}.k_proj`, [kvHeads * headDim, hiddenSize], attentionBias),
        vProj: weights.linear(`${attn}.v_proj`, [kvHeads * headDim, hiddenSize], attentionBias), oProj: weights.linear(`${attn}.o_proj`, [hiddenSize, heads * headDim], attentionBias),
      },
      postAttentionLayernorm: norm(`${at}.post_attention_layernorm`),
      mlp: {
        gateProj: weights.linear(`${mlp}.gate_proj`, [intermediateSize, hiddenSize], mlpBias), upProj: weights.linear(`${mlp}.up_proj`, [intermediateSize, hiddenSize], mlpBias),
        downProj: weights.linear(`${mlp}.down_proj`, [hiddenSize, intermediateSize], mlpBias),
      },
    };
  });
  const head = config.tiedHead ? embedTokens.weight : weights.table('lm_head', [vocabularySize, hiddenSize]);
  return { embedTokens, layers, norm: norm('model.norm'), lmHead: { name: 'lm_head', weight: head, parameters: () => [head] } };
}

function readLlamaConfig(config: CheckpointConfig): LlamaConfig {
  const hiddenSize = config.integer('hidden_size'), heads = config.integer('num_attention_heads'), headDim = config.integer('head_dim', hiddenSize / heads);
  const kvHeads = config.integer('num_key_value_heads', heads), maxPositions = config.integer('max_position_embeddings', 2048), activation = config.string('hidden_act', 'silu');
  if (activation !== 'silu' && activation !== 'swish') throw refused(config, 'hidden_act', 'silu', activation);
  if (config.number('attention_dropout', 0) !== 0) throw refused(config, 'attention_dropout', '0', config.number('attention_dropout', 0));
  if (config.integer('pretraining_tp', 1) > 1) throw refused(config, 'pretraining_tp', '1', config.integer('pretraining_tp', 1));
  if (heads % kvHeads !== 0) throw refused(config, 'num_key_value_heads', `a divisor of ${heads}`, kvHeads);
  if (config.rope.partialRotaryFactor !== 1) throw refused(config, 'partial_rotary_factor', '1', config.rope.partialRotaryFactor);
  return {
    vocabularySize: config.integer('vocab_size'), hiddenSize, layers: config.integer('num_hidden_layers'), kvWidth: kvHeads * headDim, maxPositions,
    initializerRange: config.number('initializer_range', 0.02), heads, kvHeads, headDim, intermediateSize: config.integer('intermediate_size'),
    epsilon: config.number('rms_norm_eps', 1e-6), attentionBias: config.boolean('attention_bias', false), mlpBias: config.boolean('mlp_bias', false),
    tiedHead: config.boolean('tie_word_embeddings', false), rope: ropeFrequencies(config.rope, headDim, maxPositions),
  };
}

const refused = (config: CheckpointConfig, key: string, expected: string, got: unknown): QdyloraError =>
  new QdyloraError('UNSUPPORTED', { where: config.path, problem: `expected ${expected} for ${key} of a llama model, got ${String(got)}`, nextStep: 'This value is not implemented; nothing was loaded.' });
