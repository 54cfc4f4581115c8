import { sortRows, type Adapted } from '@qdylora/lora-dynamic';
import type { LossModel } from '../step/loss-model.ts';
import type { Optimizer } from '../optimizers/optimizer.ts';
import { mixStates } from './mix-states.ts';

/**
 * Sorts the rows of an adapter by their share of the product BᵀA in the middle of a run (`sortRows`), and
 * mixes the optimizer's states alike, so that the run goes on. At the largest rank nothing changes but
 * roundings. A prefix becomes the best approximation of its rank, as in LoRA-Squeeze (arXiv 2602.10993).
 *
 * @throws QdyloraError UNSUPPORTED for an optimizer whose states it does not know
 * @example await sortAdapterRows(adapted, optimizer);
 */
export async function sortAdapterRows(adapted: Adapted<LossModel>, optimizer: Optimizer): Promise<void> {
  const { state, mixes } = sortRows(await adapted.state());
  const mixOf = new Map(
    adapted.layers.flatMap(({ name, a, b }) => {
      const { ofA, ofB } = mixes.get(name)!;
      return [
        [a.name, ofB],
        [b.name, ofA],
      ] as const;
    }),
  );
  await mixStates(optimizer, mixOf);
  await adapted.load(state);
}
