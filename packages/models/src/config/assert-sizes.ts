import type { CheckpointConfig } from '@qdylora/checkpoint';
import type { AttentionConfig, FamilyConfig } from '../families/family-config.ts';
import { refusedValue } from './refuse-value.ts';

/**
 * The largest accepted sizes, by key. They stop a hostile config from allocating lists of 10⁹ layers before
 * any weight is read, and are far above existing models: Llama 3.1 405B has 126 layers, 128 heads and an
 * intermediate size of 53,248; Falcon 180B has 232 heads; Gemma 3 has a vocabulary of 262,208.
 */
const LARGEST: Readonly<Record<string, number>> = {
  num_hidden_layers: 4096,
  n_layer: 4096,
  num_attention_heads: 65_536,
  n_head: 65_536,
  num_key_value_heads: 65_536,
  num_kv_heads: 65_536,
  head_dim: 65_536,
  hidden_size: 2 ** 20,
  n_embd: 2 ** 20,
  intermediate_size: 2 ** 24,
  ffn_hidden_size: 2 ** 24,
  n_inner: 2 ** 24,
  vocab_size: 2 ** 26,
  max_position_embeddings: 2 ** 32,
  n_positions: 2 ** 32,
};

/**
 * Refuses sizes beyond any model.
 *
 * @throws QdyloraError BAD_CONFIG for a size that is not a whole number; UNSUPPORTED for one below 1 or above
 * the limit
 */
export function assertSizes(config: CheckpointConfig): void {
  for (const [key, most] of Object.entries(LARGEST)) {
    if (!config.has(key)) continue;
    const size = config.integer(key);
    if (size < 1 || size > most) throw refusedValue(config, key, `a whole number from 1 to ${most}`, size);
  }
}

const isWhole = (value: number): boolean => Number.isSafeInteger(value) && value >= 1;
const isPositive = (value: number): boolean => Number.isFinite(value) && value > 0;

/**
 * Refuses values with which a forward pass gives NaN or fails: heads that do not divide the width, a negative
 * epsilon, rotary angles that are NaN.
 *
 * @throws QdyloraError UNSUPPORTED
 */
export function assertComputable(config: CheckpointConfig, resolved: FamilyConfig): void {
  const { epsilon, attention, embeddingScale, logitSoftCap } = resolved;
  if (!Number.isFinite(epsilon) || epsilon < 0)
    throw refusedValue(config, 'the epsilon of norms', 'a number ≥ 0', epsilon);
  if (!isPositive(embeddingScale) || !(logitSoftCap >= 0))
    throw refusedValue(config, 'the scale of embeddings and the cap of logits', 'a number > 0 and one ≥ 0', [
      embeddingScale,
      logitSoftCap,
    ]);
  for (const layer of new Set(attention)) assertAttention(config, layer);
}

function assertAttention(
  config: CheckpointConfig,
  { heads, kvHeads, headDim, scale, softCap, window, rope, alibiSlopes }: AttentionConfig,
): void {
  if (!isWhole(heads) || !isWhole(kvHeads) || heads % kvHeads !== 0 || !isWhole(headDim))
    throw refusedValue(
      config,
      'heads, kv heads and their width',
      'whole numbers ≥ 1, and heads a multiple of kv heads',
      [heads, kvHeads, headDim],
    );
  if (!isPositive(scale) || !(softCap >= 0) || !(window >= 0))
    throw refusedValue(config, 'the scale, cap and window of attention', 'a number > 0 and two ≥ 0', [
      scale,
      softCap,
      window,
    ]);
  if (
    rope &&
    !(
      isPositive(rope.scale) &&
      rope.frequencies.every((frequency) => Number.isFinite(frequency) && frequency >= 0)
    )
  )
    throw refusedValue(config, 'rotary embeddings', 'embeddings with finite angles', { scale: rope.scale });
  if (alibiSlopes && !alibiSlopes.every(Number.isFinite))
    throw refusedValue(config, 'the slopes of ALiBi', 'finite numbers', [...alibiSlopes.slice(0, 8)]);
}
