import type { RopeFrequencies } from '../config/rope-frequencies.ts';

/** How one layer attends. */
export interface AttentionConfig {
  /** Query heads. */
  readonly heads: number;
  /** Key and value heads; a divisor of `heads`. */
  readonly kvHeads: number;
  readonly headDim: number;
  /** Factor on q·k: 1/√headDim in most families. */
  readonly scale: number;
  /** Tokens that a token attends to, itself included; 0: all before it. */
  readonly window: number;
  /** Bound c of a score, c · tanh(score / c); 0: none. */
  readonly softCap: number;
  /** Rotary embedding; null if positions enter in another way. */
  readonly rope: RopeFrequencies | null;
  /** ALiBi's slopes as they are added to scores: [heads]; null without ALiBi. */
  readonly alibiSlopes: Float32Array | null;
}

/** Attention over all earlier tokens, without a soft cap, rotary embedding or ALiBi. */
export const PLAIN_ATTENTION = { window: 0, softCap: 0, rope: null, alibiSlopes: null } as const;

/** What the decoder around the layers needs of every family's config. */
export interface FamilyConfig {
  readonly vocabularySize: number;
  readonly hiddenSize: number;
  /** Number of layers. */
  readonly layers: number;
  readonly maxPositions: number;
  /** Standard deviation of random weights. */
  readonly initializerRange: number;
  /** One entry a layer. Layers with the same rotary angles share one `rope` object. */
  readonly attention: readonly AttentionConfig[];
  /**
   * First position that cannot be computed: learned positions end there, or LongRoPE changes its factors.
   * Infinity: no limit.
   */
  readonly positionLimit: number;
  /** ε of the norms. */
  readonly epsilon: number;
  /** The head is the embedding matrix. */
  readonly tiedHead: boolean;
  /** Factor on embeddings: 1, or √hidden (Gemma). */
  readonly embeddingScale: number;
  /** Bound c of a logit, c · tanh(logit / c); 0: none. */
  readonly logitSoftCap: number;
}
