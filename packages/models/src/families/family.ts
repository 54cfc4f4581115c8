import type { CheckpointConfig } from '@qdylora/checkpoint';
import type { LayerPass } from '../layers/layer-pass.ts';
import type { Hidden } from '../layers/hidden.ts';
import type { Norm } from '../layers/norm.ts';
import type { RopeFrequencies } from '../rope-frequencies.ts';
import type { WeightSource } from '../weights/weight-source.ts';

/** How one layer attends. */
export interface AttentionConfig {
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  /** Factor on q·k: 1/√headDim in most families. */
  readonly scale: number;
  /** 0, or how many positions back (itself included) a token sees. */
  readonly window: number;
  /** 0, or the bound c of a score: c·tanh(score / c). */
  readonly softCap: number;
  /** Null where positions come in otherwise. */
  readonly rope: RopeFrequencies | null;
  /** [heads], ALiBi's slopes as they are added to scores; null without. */
  readonly alibiSlopes: Float32Array | null;
}

/** What every family's config tells the decoder around its layers. */
export interface FamilyConfig {
  readonly vocabularySize: number;
  readonly hiddenSize: number;
  readonly layers: number;
  readonly maxPositions: number;
  readonly initializerRange: number;
  /** One a layer; layers that turn alike share one `rope`. */
  readonly attention: readonly AttentionConfig[];
  /**
   * Positions from here on cannot be computed: learned positions end, or LongRoPE would turn otherwise.
   * Infinity: no limit.
   */
  readonly positionLimit: number;
  /** ε of the norms. */
  readonly epsilon: number;
  readonly tiedHead: boolean;
  /** Factor on embeddings: 1, or √hidden (Gemma). */
  readonly embeddingScale: number;
  /** 0, or the bound c of a logit: c·tanh(logit / c). */
  readonly logitSoftCap: number;
}

/**
 * What a checkpoint calls the parts around its layers; `base` is the prefix that files saved without a head
 * leave out.
 */
export interface DecoderNames {
  readonly base: string;
  readonly embedding: string;
  readonly positions?: string;
  readonly layers: string;
  readonly norm: string;
  readonly head: string;
}

/**
 * A decoder family: how its config reads, what one layer is made of, and its forward pass. One file each,
 * named after `model_type`.
 * Embedding, final norm and head are alike everywhere: `decoder.ts`.
 */
export interface Family<C extends FamilyConfig = FamilyConfig, L = unknown> {
  readonly modelType: string;
  readonly names: DecoderNames;
  /** Ends of the layers that PEFT adapts where an adapter names none; null where PEFT has no such default. */
  readonly peftTargets: readonly string[] | null;
  /** What somebody should know who packs such a model into 4 bits for others. */
  readonly packedNotice?: string;
  /**
   * True where a checkpoint stores linear weights as [in, out] (GPT-2's Conv1D); PEFT calls it
   * `fan_in_fan_out`.
   */
  readonly storesInOut?: boolean;
  /** @throws QdyloraError BAD_CONFIG, UNSUPPORTED for a value that this family does not implement */
  readConfig(config: CheckpointConfig): C;
  /** The norm after the last layer. */
  norm(config: C, weights: WeightSource, name: string): Norm;
  /** The modules of layer i, whose names begin with `at`: a plain record. */
  layer(config: C, weights: WeightSource, at: string, i: number): L;
  /** One layer's forward pass.  x: [tokens, hidden] → same */
  block(layer: L, config: C, pass: LayerPass, x: Hidden): Hidden;
}
