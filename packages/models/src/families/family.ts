import type { CheckpointConfig } from '@qdylora/checkpoint';
import type { ArrayView } from '@qdylora/contract';
import type { ForwardContext, Parameter, Tensor } from '@qdylora/tensor';
import type { BatchArrays } from '../batch-arrays.ts';
import type { KvCache } from '../generate/kv-cache.ts';
import type { WeightSource } from '../weights/weight-source.ts';

/** What every family's config must tell the rest of the house. */
export interface FamilyConfig { readonly vocabularySize: number; readonly hiddenSize: number; readonly layers: number; readonly kvWidth: number; readonly maxPositions: number; readonly initializerRange: number }

/** A decoder family: how its config reads, which layers it has, and its forward pass. One file each, named after `model_type`. */
export interface Family<C extends FamilyConfig = FamilyConfig, M = unknown> {
  readonly modelType: string;
  /** @throws QdyloraError BAD_CONFIG, UNSUPPORTED for a value that this family does not implement */
  readConfig(config: CheckpointConfig): C;
  build(config: C, weights: WeightSource): M;
  /** → hidden states after the last norm: [tokens, hidden] */
  hidden(modules: M, config: C, ctx: ForwardContext, batch: BatchArrays, cache?: KvCache): Tensor<ArrayView<'f32'>>;
  /** The matrix that turns hidden states into logits: [vocabulary, hidden] */
  head(modules: M): Parameter;
}
