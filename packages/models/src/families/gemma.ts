import type { CheckpointConfig } from '@qdylora/checkpoint';
import type { ActivationKind } from '@qdylora/tensor';
import { readActivation } from '../config/read-activation.ts';
import { acceptOnly, refusedValue } from '../config/refuse-value.ts';
import type { Family } from './family.ts';
import { llama, readLlamaConfig, type LlamaConfig, type LlamaDifferences, type LlamaLayer } from './llama.ts';

/**
 * Gemma 1: Llama with GeGLU, embeddings times √hidden, norm weights stored minus one, and one matrix for
 * embedding and head (Gemma Team 2024).
 */
export const gemma: Family<LlamaConfig, LlamaLayer> = {
  ...llama,
  modelType: 'gemma',
  readConfig: (config) =>
    readGemmaConfig(config, { defaultKvHeads: 16, activation: gemmaActivation(config) }),
};

/** The keys that all Gemmas share.  @throws QdyloraError BAD_CONFIG, UNSUPPORTED */
export function readGemmaConfig(config: CheckpointConfig, own: LlamaDifferences): LlamaConfig {
  acceptOnly(config, 'use_bidirectional_attention', [false]);
  const bias = config.boolean('attention_bias', false);
  return readLlamaConfig(config, {
    activation: readActivation(config, 'hidden_activation', 'gelu_pytorch_tanh'),
    embeddingScale: Math.sqrt(config.integer('hidden_size')),
    isOffset: true,
    qkvBias: bias,
    outBias: bias,
    defaultHeadDim: 256,
    defaultMaxPositions: 8192,
    isTiedByDefault: true,
    ...own,
  });
}

/**
 * The first Gemma configs say `hidden_act: gelu` and mean the tanh form. Of `hidden_activation`, transformers
 * 4 took whatever it says, and transformers 5 takes nothing: it must say the same.
 */
function gemmaActivation(config: CheckpointConfig): ActivationKind {
  const named = readActivation(config, 'hidden_act', 'gelu_pytorch_tanh');
  const activation = named === 'gelu' ? 'gelu_tanh' : named;
  if (
    config.has('hidden_activation') &&
    readActivation(config, 'hidden_activation', 'gelu_pytorch_tanh') !== activation
  )
    throw refusedValue(config, 'hidden_activation', 'what hidden_act says', config.raw.hidden_activation);
  return activation;
}
