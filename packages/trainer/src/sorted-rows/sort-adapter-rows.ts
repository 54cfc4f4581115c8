import type { ArrayView } from '@qdylora/contract';
import { sortLayerRows, type Adapted } from '@qdylora/lora-dynamic';
import type { Optimizer } from '../optimizers/optimizer.ts';
import { setAdapterRows } from '../set-adapter-rows.ts';
import type { LossModel } from '../step/loss-model.ts';
import { assertOneCount, mixStates } from './mix-states.ts';

type F32 = ArrayView<'f32'>;

/**
 * Sorts the rows of an adapter by their share of the product BᵀA in the middle of a run (`sortRows`), and
 * mixes the optimizer's states in the same way, so that training can continue. At the largest rank only
 * rounding changes. A prefix becomes the best approximation of its rank, as in LoRA-Squeeze (arXiv
 * 2602.10993).
 *
 * It processes one layer at a time, so it needs host memory for one layer and its states.
 *
 * @param beforeChange called right before the first row changes
 * @throws QdyloraError UNSUPPORTED if the rows have different update counts; nothing has changed then
 * @example await sortAdapterRows(adapted, optimizer);
 */
export async function sortAdapterRows(
  adapted: Adapted<LossModel>,
  optimizer: Optimizer,
  beforeChange?: () => void,
): Promise<void> {
  const { maxRank } = adapted.ranks;
  const { memory } = adapted.model.backend;
  assertOneCount(optimizer, maxRank);
  beforeChange?.();
  for (const target of adapted.layers) {
    const { name, inFeatures, outFeatures, a, b } = target;
    const rows = { a: await memory.read(a.view as F32), b: await memory.read(b.view as F32) };
    const { layer, mix } = sortLayerRows({ name, inFeatures, outFeatures, ...rows }, maxRank);
    // gradients transform with the mix of the other factor: ∂L/∂A′ = ofB·∂L/∂A (sortRows)
    await mixStates(optimizer, a.name, mix.ofB);
    await mixStates(optimizer, b.name, mix.ofA);
    setAdapterRows(memory, target, layer);
  }
}
