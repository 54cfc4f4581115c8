import type { Example } from '@qdylora/data';
import { lossOver, type MeasureOptions, type PerplexityOptions } from '@qdylora/eval';
import {
  observeInputs,
  sortByMoments,
  type Adapted,
  type AdapterState,
  type SortedLayer,
} from '@qdylora/lora-dynamic';
import type { CausalLm } from '@qdylora/models';

/** Rows of the task that decide the ranks of layers: as many as the gradient start reads. */
export const BUDGET_ROWS = 64;

/** A trained adapter on its base. `state` is what `adapted` holds. */
export interface TrainedAdapter {
  readonly model: CausalLm;
  readonly adapted: Adapted<CausalLm>;
  readonly state: AdapterState;
}

/**
 * The layers of an adapter with their rows sorted by how much each changes the output of its layer over
 * examples of the task (`sortByMoments`).
 *
 * @throws QdyloraError BAD_DATA if no token is counted; ABORTED
 */
export async function sortByTask(
  { model, adapted, state }: TrainedAdapter,
  examples: readonly Example[],
  options: PerplexityOptions & MeasureOptions,
): Promise<SortedLayer[]> {
  using observer = observeInputs(model, adapted);
  await lossOver(observer.view, examples, options);
  return sortByMoments(state, await observer.sums());
}
