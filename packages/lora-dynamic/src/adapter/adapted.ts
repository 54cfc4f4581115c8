import { QdyloraError, shownValue, type Backend } from '@qdylora/contract';
import type { ActiveRank, Linear, LinearLike, Parameter } from '@qdylora/tensor';
import type { ResolvedAdapterConfig } from './adapter-config.ts';
import type { AdapterState } from './adapter-state.ts';
import type { DyLoraLinear } from '../layers/dylora-linear.ts';
import type { RankSet } from '../ranks/rank-set.ts';
import { trainFrom } from '../ranks/update-rule.ts';

/** What a model must offer to be adapted: its tree of layers, and itself over another tree. */
export interface AdaptableModel<M> {
  readonly backend: Backend;
  readonly modules: unknown;
  withModules(replace: (layer: Linear) => LinearLike): M;
}

/**
 * A model seen at one rank (or, with `active` null, without its adapter): the one thing that training,
 * evaluation and export share.
 */
export interface RankView<M> {
  readonly model: M;
  readonly active: ActiveRank | null;
}

/** What attaching found. */
export interface AttachReport {
  /** Names of the layers that got an adapter. */
  readonly matched: readonly string[];
  /** Linear layers that got none. */
  readonly unmatched: readonly string[];
  /** Layers narrower than the largest rank: allowed, the rows past min(in, out) add nothing new. */
  readonly widerThanLayer: readonly string[];
  readonly trainableCount: number;
}

/**
 * Tokens of a pass, from the end of the part before up to the token `until`, at a rank of their own.
 * `weight`: what the adapters' gradients from them are multiplied by; 1 by default.
 */
export interface TokensAtRank {
  readonly until: number;
  readonly rank: number;
  readonly weight?: number;
}

/** A model with nested adapters. The base's memory is shared, never changed. */
export interface Adapted<M> {
  readonly model: M;
  readonly ranks: RankSet;
  readonly config: ResolvedAdapterConfig;
  readonly report: AttachReport;
  readonly layers: readonly DyLoraLinear[];
  /** @throws QdyloraError BAD_ARGUMENT unless 1 ≤ rank ≤ maxRank */
  atRank(rank: number): RankView<M>;
  /**
   * Tokens of one pass at ranks of their own, part by part: nothing is computed twice. @throws as `atRank`;
   * the pass, unless the last part ends with its tokens
   */
  atRanks(parts: readonly TokensAtRank[]): RankView<M>;
  /** The same memory without the adapter. */
  base(): RankView<M>;
  /** The adapters' matrices, A and B of each layer in the model's order; not the frozen base. */
  parameters(): Parameter[];
  /** A copy of the adapter in host memory, at full rank. @throws QdyloraError DISPOSED */
  state(): Promise<AdapterState>;
  /**
   * Puts the numbers of `state` into the adapters. @throws QdyloraError BAD_ADAPTER where layers or shapes
   * differ
   */
  load(state: AdapterState): Promise<void>;
}

/**
 * Tokens of one pass at several ranks: each of `parts` up to the token `until`. A single rank where all are
 * at one.
 */
export function activeParts(config: ResolvedAdapterConfig, parts: readonly TokensAtRank[]): ActiveRank {
  const fit =
    parts.length > 0 &&
    parts.every(
      ({ until, weight = 1 }, i) =>
        Number.isInteger(until) &&
        until > (parts[i - 1]?.until ?? 0) &&
        Number.isFinite(weight) &&
        weight > 0,
    );
  if (!fit)
    throw new QdyloraError('BAD_ARGUMENT', {
      where: 'atRanks',
      problem: `the ends of the parts must rise, and their weights be > 0 (got ${shownValue(parts)})`,
    });
  const activeParts = parts.map(({ until, rank, weight = 1 }) => ({
    ...activeAt(config, rank),
    until,
    weight,
  }));
  const rank = Math.max(...activeParts.map((part) => part.rank));
  if (activeParts.every((part) => part.rank === rank && part.weight === 1)) return activeAt(config, rank);
  return { rank, trainFrom: Math.min(...activeParts.map((part) => part.trainFrom)), parts: activeParts };
}

export const activeAt = ({ ranks, updateRule }: ResolvedAdapterConfig, rank: number): ActiveRank => {
  ranks.assertUsable(rank);
  return { rank, trainFrom: trainFrom(updateRule, ranks, rank) };
};
