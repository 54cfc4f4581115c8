import { collate, type Example } from '@qdylora/data';
import type { MeasureOptions } from '@qdylora/eval';
import {
  gainsOfRows,
  scaleAt,
  sortRows,
  type Adapted,
  type AdapterLayer,
  type AdapterState,
  type RankedLayer,
} from '@qdylora/lora-dynamic';
import type { CausalLm } from '@qdylora/models';
import { fisherOfRows } from '@qdylora/trainer';
import { unscaledDtype } from '../run/unscaled-dtype.ts';

/**
 * Rows of the task that decide the ranks of layers. With 64 the choice was worse, with 512 hardly better
 * (SmolLM2-135M on GSM8K; docs/research/every-rank.md).
 */
export const BUDGET_ROWS = 128;

/** A trained adapter on its base. `state` is what `adapted` holds. */
export interface TrainedAdapter {
  readonly adapted: Adapted<CausalLm>;
  readonly state: AdapterState;
}

/** An adapter whose rows are in the order in which they are kept, and what each row of a layer is worth. */
export interface WeighedRows {
  readonly state: AdapterState;
  readonly gains: readonly RankedLayer[];
}

/**
 * Estimates over examples of the task what each row of an adapter is worth (`fisherOfRows`, `gainsOfRows`).
 *
 * A nested adapter keeps the rows that were trained to be a small rank. The rows of an adapter of one rank
 * have no order, so they are sorted by SVD first.
 *
 * @throws QdyloraError NON_FINITE; ABORTED
 */
export async function weighRows(
  { adapted, state }: TrainedAdapter,
  examples: readonly Example[],
  { computeDtype = 'f32', signal }: Pick<MeasureOptions, 'computeDtype' | 'signal'>,
): Promise<WeighedRows> {
  const isNested = state.ranks.length > 1;
  const ordered = isNested ? state : sortRows(state).state;
  const batches = examples.map((example) => collate([example]));
  const options = { computeDtype: unscaledDtype(computeDtype), recompute: true, signal };
  try {
    if (!isNested) await adapted.load(ordered);
    return { state: ordered, gains: gainsOfRows(ordered, await fisherOfRows(adapted, batches, options)) };
  } finally {
    if (!isNested) await adapted.load(state);
  }
}

/** The layers of an adapter, each with its first rows alone. B contains the scale of that rank. */
export const layersAtRanks = (
  { layers, scaling, alpha, maxRank }: AdapterState,
  rankOf: ReadonlyMap<string, number>,
): (AdapterLayer & { readonly rank: number })[] =>
  layers.map(({ name, inFeatures, outFeatures, a, b }) => {
    const rank = rankOf.get(name)!;
    const scale = rank === 0 ? 0 : scaleAt(scaling, alpha, rank, maxRank);
    return {
      name,
      rank,
      inFeatures,
      outFeatures,
      a: a.slice(0, rank * inFeatures),
      b: b.slice(0, rank * outFeatures).map((value) => scale * value),
    };
  });
