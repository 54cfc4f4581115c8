import { collate, type Example } from '@qdylora/data';
import type { MeasureOptions } from '@qdylora/eval';
import {
  gainsOfRows,
  scaleAt,
  sortRows,
  type Adapted,
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
  readonly model: CausalLm;
  readonly adapted: Adapted<CausalLm>;
  readonly state: AdapterState;
  /** Quantization level of the base, in bits a weight; 4 by default. */
  readonly level?: number;
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
 * have no order, so they are sorted by SVD first. Its smaller ranks were never trained, so they have the
 * scale of the whole adapter: each is the best approximation of its rank.
 *
 * @throws QdyloraError NON_FINITE; ABORTED
 */
export async function weighRows(
  { adapted, state, level }: Omit<TrainedAdapter, 'model'>,
  examples: readonly Example[],
  { computeDtype = 'f32', signal }: Pick<MeasureOptions, 'computeDtype' | 'signal'>,
): Promise<WeighedRows> {
  const batches = examples.map((example) => collate([example]));
  const options = { computeDtype: unscaledDtype(computeDtype), recompute: true, level, signal };
  const weighed = async (ordered: AdapterState): Promise<WeighedRows> => ({
    state: ordered,
    gains: gainsOfRows(ordered, await fisherOfRows(adapted, batches, options)),
  });
  if (state.ranks.length > 1) return weighed(state);
  const sorted = sortRows(state).state;
  try {
    await adapted.load(sorted);
    return await weighed(withOneScale(sorted));
  } finally {
    await adapted.load(state);
  }
}

/** The same adapter with the scale of its largest rank at every rank. */
function withOneScale(state: AdapterState): AdapterState {
  const { scaling, alpha, maxRank } = state;
  return { ...state, scaling: 'constant', alpha: maxRank * scaleAt(scaling, alpha, maxRank, maxRank) };
}
