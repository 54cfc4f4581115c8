import type { CheckpointConfig } from '@qdylora/checkpoint';
import type { ActivationKind } from '@qdylora/tensor';
import { readActivation } from '../config/read-activation.ts';
import { acceptOnly, refusedValue } from '../config/refuse-value.ts';
import type { Family } from './family.ts';
import { llama, readLlamaConfig, type LlamaConfig, type LlamaDifferences, type LlamaLayer } from './llama.ts';

/**
 * Gemma 1: Llama with a GELU gate, embeddings multiplied by √hidden, norm weights stored minus one, and a
 * tied head (Gemma Team 2024).
 */
export const gemma: Family<LlamaConfig, LlamaLayer> = {
  ...llama,
  modelType: 'gemma',
  readConfig: (config) => readGemmaConfig(config, { activation: gemmaActivation(config) }),
};

/**
 * Reads the keys that all versions of Gemma share.
 *
 * @throws QdyloraError BAD_CONFIG, UNSUPPORTED
 */
export function readGemmaConfig(config: CheckpointConfig, differences: LlamaDifferences): LlamaConfig {
  acceptOnly(config, 'use_bidirectional_attention', [false]);
  const bias = config.boolean('attention_bias', false);
  return readLlamaConfig(config, {
    activation: readActivation(config, 'hidden_activation', 'gelu_pytorch_tanh'),
    embeddingScale: Math.sqrt(config.integer('hidden_size')),
    isOffset: true,
    qkvBias: bias,
    outBias: bias,
    defaultMaxPositions: 8192,
    isTiedByDefault: true,
    ...differences,
  });
}

/**
 * The first Gemma configs have `hidden_act: gelu` and mean its tanh approximation. transformers 4 preferred
 * `hidden_activation`, transformers 5 ignores it, so the two keys must agree.
 */
function gemmaActivation(config: CheckpointConfig): ActivationKind {
  const hiddenAct = readActivation(config, 'hidden_act', 'gelu_pytorch_tanh');
  const activation = hiddenAct === 'gelu' ? 'gelu_tanh' : hiddenAct;
  if (
    config.has('hidden_activation') &&
    readActivation(config, 'hidden_activation', 'gelu_pytorch_tanh') !== activation
  )
    throw refusedValue(config, 'hidden_activation', 'the same as hidden_act', config.raw.hidden_activation);
  return activation;
}
