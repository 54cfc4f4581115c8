import { QdyloraError, shownValue, type Backend } from '@qdylora/contract';
import type { ActiveRank, Linear, LinearLike, Parameter } from '@qdylora/tensor';
import type { ResolvedAdapterConfig } from './adapter-config.ts';
import type { AdapterState } from './adapter-state.ts';
import type { DyLoraLinear } from '../layers/dylora-linear.ts';
import type { RankSet } from '../ranks/rank-set.ts';
import { trainFrom } from '../ranks/update-rule.ts';

/** What `attachDyLora` needs from a model: its module tree, and a copy with some linear layers replaced. */
export interface AdaptableModel<M> {
  readonly backend: Backend;
  readonly modules: unknown;
  withModules(replace: (layer: Linear) => LinearLike): M;
}

/** A model at one rank. `active` null: without adapters. Training, evaluation and generation take it. */
export interface RankView<M> {
  readonly model: M;
  readonly active: ActiveRank | null;
}

/**
 * Quantization level: bits per weight of the frozen base. (The op operand `levels` is a codebook instead.)
 */
export interface LevelOptions {
  /** Default 4, the level that every quantized weight has. */
  readonly level?: number;
}

/** The layers that matched, and those that did not. */
export interface AttachReport {
  /** Names of the layers with an adapter. */
  readonly matched: readonly string[];
  /** Names of the linear layers without an adapter. */
  readonly unmatched: readonly string[];
  /** Layers narrower than the largest rank. This is allowed, but rows beyond min(in, out) add nothing. */
  readonly widerThanLayer: readonly string[];
  readonly trainableCount: number;
}

/**
 * Consecutive tokens of a pass at one rank: from the end of the previous part up to the token `until`.
 * `weight` scales the gradients of the adapters from these tokens; default 1.
 */
export interface TokensAtRank {
  readonly until: number;
  readonly rank: number;
  readonly weight?: number;
}

/** A model with nested adapters. It shares the memory of the base model, which never changes. */
export interface Adapted<M> {
  readonly model: M;
  readonly ranks: RankSet;
  /** Quantization levels of the base in bits per weight, ascending; empty if the base is not quantized. */
  readonly levels: readonly number[];
  readonly config: ResolvedAdapterConfig;
  readonly report: AttachReport;
  readonly layers: readonly DyLoraLinear[];
  /**
   * The model at a rank, and at a quantization level of its base; 4 bits by default. The adapter is the same
   * at every level.
   *
   * @throws QdyloraError BAD_ARGUMENT unless 1 ≤ rank ≤ maxRank and the level is one of `levels`
   */
  atRank(rank: number, options?: LevelOptions): RankView<M>;
  /**
   * One pass with several ranks: each part of its tokens at its own rank. If all parts have the same rank and
   * weight 1, it equals `atRank`; the ends of the parts are then ignored.
   *
   * @throws as `atRank`; if the parts differ, the pass throws unless the last part ends with its last token
   */
  atRanks(parts: readonly TokensAtRank[], options?: LevelOptions): RankView<M>;
  /** A view of the same memory without adapters. */
  base(options?: LevelOptions): RankView<M>;
  /** A and B of each layer, in the model's order; not the frozen base. */
  parameters(): Parameter[];
  /** A copy of the adapter in host memory, at full rank. @throws QdyloraError DISPOSED */
  state(): Promise<AdapterState>;
  /**
   * Copies `state` into the adapters. @throws QdyloraError BAD_ADAPTER if layers, shapes or scaling differ
   */
  load(state: AdapterState): Promise<void>;
}

/**
 * The active ranks of a pass whose tokens have several ranks. If all parts have the same rank and weight 1,
 * it is a single rank, for a pass of any length.
 */
export function activeParts(config: ResolvedAdapterConfig, parts: readonly TokensAtRank[]): ActiveRank {
  const areValid =
    parts.length > 0 &&
    parts.every(
      ({ until, weight = 1 }, i) =>
        Number.isInteger(until) &&
        until > (parts[i - 1]?.until ?? 0) &&
        Number.isFinite(weight) &&
        weight > 0,
    );
  if (!areValid)
    throw new QdyloraError('BAD_ARGUMENT', {
      where: 'atRanks',
      problem: `the ends of the parts must increase, and their weights be > 0 (got ${shownValue(parts)})`,
    });
  const resolved = parts.map(({ until, rank, weight = 1 }) => ({
    ...activeAt(config, rank),
    until,
    weight,
  }));
  const rank = Math.max(...resolved.map((part) => part.rank));
  if (resolved.every((part) => part.rank === rank && part.weight === 1)) return activeAt(config, rank);
  return { rank, trainFrom: Math.min(...resolved.map((part) => part.trainFrom)), parts: resolved };
}

export const activeAt = ({ ranks, updateRule }: ResolvedAdapterConfig, rank: number): ActiveRank => {
  ranks.assertUsable(rank);
  return { rank, trainFrom: trainFrom(updateRule, ranks, rank) };
};
