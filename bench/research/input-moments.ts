import { observeInputs, type Adapted, type InputSums } from '@qdylora/lora-dynamic';
import type { CausalLm } from '@qdylora/models';
import { inferenceContext } from '@qdylora/tensor';
import type { Setting } from './setting.ts';

/** Steps whose tokens are observed: 64 rows. */
const OBSERVED_STEPS = 8;

/** The moments Σ (A·x)(A·x)ᵀ of the inputs of each adapted layer, over the first training rows. */
export async function inputMoments(
  { model, batches }: Setting,
  adapted: Adapted<CausalLm>,
): Promise<InputSums> {
  using observer = observeInputs(model, adapted);
  for (let step = 0; step < OBSERVED_STEPS; step++)
    for (const batch of batches.batchAt(step))
      model.backend.memory.scoped(() => {
        const context = { ...inferenceContext(model.backend), active: observer.view.active };
        observer.view.model.loss({ ...context, computeDtype: 'bf16' }, batch, { lossScale: 1 });
      });
  return await observer.sums();
}
