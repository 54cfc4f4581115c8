import type { ArrayView, Backend } from '@qdylora/contract';
import type { ForwardContext, Linear, LinearLike, Parameter, SoftTargetUse, Tensor } from '@qdylora/tensor';
import type { FamilyConfig } from '../families/family-config.ts';
import type { KvCache, LayerCache } from './kv-cache.ts';
import type { TokenStep } from './token-step.ts';
import type { BatchArrays, LossArrays, LossInputs, TokenInputs } from './batch-arrays.ts';
import type { ModelHead } from './model-head.ts';

/**
 * A decoder-only language model: token ids in; hidden states, logits or a loss out.
 *
 * The rank of its adapters, if it has any, is in the context of each call (`ForwardContext.active`).
 */
export interface CausalLm {
  /** Folder, file or hub id of the checkpoint. */
  readonly name: string;
  /** `model_type` of `config.json`. */
  readonly modelType: string;
  readonly config: FamilyConfig;
  readonly backend: Backend;
  /** Tree of modules: embedding, layers, norm, head. */
  readonly modules: unknown;
  /** Name endings of the layers that PEFT adapts by default in this family; null if it has no default. */
  readonly peftTargets: readonly string[] | null;
  /**
   * True if checkpoints of this family store linear weights as [in, out] (GPT-2): PEFT's `fan_in_fan_out`.
   * In memory they are always [out, in].
   */
  readonly storesInOut: boolean;
  /** The same model with `replace(layer)` in place of each linear layer; everything else is shared. */
  withModules(replace: (layer: Linear) => LinearLike): CausalLm;
  parameters(): Parameter[];
  /** Number of weights, packed ones included. */
  readonly parameterCount: number;
  /** Bytes of all weights in memory; a tied head counts once. */
  readonly weightBytes: number;
  /** Number of classes of the head. */
  readonly vocabularySize: number;
  /** Hidden states after the last norm: [tokens, hidden] */
  hidden(ctx: ForwardContext, inputs: TokenInputs, cache?: KvCache): Tensor<ArrayView<'f32'>>;
  /**
   * `hidden` over arrays that are in place, with a cache for each layer: the pass of many sequences that
   * continue, which can be recorded and replayed. Positions are checked by `assertInputs`.
   */
  hiddenOfArrays(
    ctx: ForwardContext,
    arrays: BatchArrays,
    caches: readonly LayerCache[],
  ): Tensor<ArrayView<'f32'>>;
  /** Hidden states to logits, losses and tokens. */
  readonly head: ModelHead;
  /** Logits of every token: [tokens, vocabulary]. For short inputs: all rows are in memory together. */
  logits(ctx: ForwardContext, inputs: TokenInputs): Tensor<ArrayView<'f32'>>;
  /**
   * Cross-entropy of the targets; the logits are never all in memory.
   *
   * loss: [1] = lossScale · Σ tokenLosses. tokenLosses: [tokens], −log p of each counted target, else 0.
   * With `softTargets` the pass also writes its predictions there, or learns from those of another pass.
   */
  loss(
    ctx: ForwardContext,
    inputs: LossInputs,
    options: { readonly lossScale: number; readonly softTargets?: SoftTargetUse | undefined },
  ): { loss: Tensor<ArrayView<'f32'>>; tokenLosses: ArrayView<'f32'> };
  /**
   * Checks positions, as `loss` does first; for replays of a recorded pass.
   *
   * @throws QdyloraError BAD_ARGUMENT if the model has no such position
   */
  assertInputs(inputs: Pick<TokenInputs, 'positions'>): void;
  /**
   * `loss` over arrays that are in place and stay there, so that the pass can be recorded and replayed.
   *
   * loss: [1] = Σ tokenWeights · tokenLosses
   */
  lossOfArrays(
    ctx: ForwardContext,
    arrays: LossArrays,
    softTargets?: SoftTargetUse,
  ): { loss: Tensor<ArrayView<'f32'>>; tokenLosses: ArrayView<'f32'> };
  /**
   * Scores the targets without gradients: tokenLosses: [tokens], −log p of each counted target, else 0;
   * likeliest: [tokens], the most likely token from the first counted target of a sequence to its last
   * one, else −1. One pass; the logits are never all in memory.
   */
  scoreTargets(
    ctx: ForwardContext,
    inputs: LossInputs,
  ): Promise<{ readonly tokenLosses: Float32Array; readonly likeliest: Int32Array }>;
  /** A key-value cache for `capacity` tokens, to be disposed. */
  createCache(capacity: number): KvCache;
  /** Logits after the last token, as a copy: [vocabulary] */
  nextLogits(ctx: ForwardContext, inputs: TokenInputs, cache: KvCache): Promise<Float32Array>;
  /** The most likely token after the last one; among equals the one with the smallest id. */
  nextLikeliest(ctx: ForwardContext, inputs: TokenInputs, cache: KvCache): Promise<number>;
  /** `nextLogits` for one token after another; to be disposed. */
  createLogitsStep(ctx: ForwardContext, cache: KvCache): TokenStep<Float32Array>;
  /**
   * `nextLikeliest` for one token after another; to be disposed.
   *
   * `hasCodes: true` keeps an 8-bit copy of the head ([vocabulary, hidden] bytes) and reads only those rows
   * of the head itself that can still win. The tokens are the same.
   */
  createLikeliestStep(
    ctx: ForwardContext,
    cache: KvCache,
    options?: { readonly hasCodes?: boolean },
  ): TokenStep<number>;
}
