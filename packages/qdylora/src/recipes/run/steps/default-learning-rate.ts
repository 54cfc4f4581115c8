import type { CheckpointConfig } from '@qdylora/checkpoint';
import { familyOf } from '@qdylora/models';
import type { RunConfig } from '../../../config/resolve-run.ts';

/** The values of a run with its learning rate resolved. */
export type RatedConfig = RunConfig & { readonly learningRate: number };

/** For full training, where no rule was measured. */
const FULL_TRAINING_RATE = 2e-4;

/**
 * The peak learning rate of adapters by the width of the model: 5e-4 · (2000 / hidden)^0.781, the rule of
 * Thinking Machines for LoRA on Llama models (tinker cookbook, 2025).
 *
 * It gives 1.3e-3 at a hidden size of 576, where the best rates on GSM8K were 1e-3 to 2e-3
 * (docs/research/how-the-default-was-found.md). At 4096 and 8192 it gives 2.9e-4 and 1.7e-4; QLoRA used 2e-4
 * and 1e-4 there.
 */
export function defaultLearningRate({ method }: Pick<RunConfig, 'method'>, config: CheckpointConfig): number {
  if (method === 'none') return FULL_TRAINING_RATE;
  const { hiddenSize } = familyOf(config.modelType, config.path).readConfig(config);
  return Number((5e-4 * (2000 / hiddenSize) ** 0.781).toPrecision(2));
}
