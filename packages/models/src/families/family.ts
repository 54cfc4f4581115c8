import type { CheckpointConfig } from '@qdylora/checkpoint';
import type { Hidden, LayerPass } from '../layers/layer-pass.ts';
import type { Norm } from '../layers/norm.ts';
import type { WeightSource } from '../weights/weight-source.ts';
import type { FamilyConfig } from './family-config.ts';

/** Tensor names of the parts around the layers, without `.weight`. */
export interface DecoderNames {
  /** Prefix that files saved without a head leave out. */
  readonly base: string;
  readonly embedding: string;
  /** Learned positions; left out in families that have none. */
  readonly positions?: string;
  /** Prefix of the layers: layer 3 is `<layers>.3`. */
  readonly layers: string;
  readonly norm: string;
  readonly head: string;
}

/**
 * A decoder family: how its `config.json` is read, which modules a layer has, and a layer's forward pass.
 *
 * One file each, named after the `model_type`. Embedding, last norm and head are the same in all families
 * (`decoder/`).
 *
 * @typeParam C what `readConfig` returns
 * @typeParam L the modules of one layer: a plain record of layers and norms
 */
export interface Family<C extends FamilyConfig = FamilyConfig, L = unknown> {
  readonly modelType: string;
  readonly names: DecoderNames;
  /** Name endings of the layers that PEFT adapts by default; null if PEFT has no default. */
  readonly peftTargets: readonly string[] | null;
  /** A warning for users who write a 4-bit checkpoint of this family for other programs. */
  readonly packedNotice?: string;
  /** True if checkpoints store linear weights as [in, out]: GPT-2's Conv1D, PEFT's `fan_in_fan_out`. */
  readonly storesInOut?: boolean;
  /** @throws QdyloraError BAD_CONFIG; UNSUPPORTED for a value that this family does not implement */
  readConfig(config: CheckpointConfig): C;
  /** The norm after the last layer. */
  norm(config: C, weights: WeightSource, name: string): Norm;
  /** The modules of layer `i`. Their names begin with `at`. */
  buildLayer(config: C, weights: WeightSource, at: string, i: number): L;
  /** Forward pass of one layer.  x: [tokens, hidden] → [tokens, hidden] */
  forward(layer: L, config: C, pass: LayerPass, x: Hidden): Hidden;
}
