import { isPaged } from '@qdylora/trainer';
import type { RunConfig } from '../../config/resolve-run.ts';
import { once, type RoughlyNeeded } from './needs-of-runs.ts';

/**
 * Peak bytes of arrays while the model is built, while it is trained and while it is evaluated; and the bytes
 * of the optimizer states.
 */
export interface PhaseBytes {
  readonly building: number;
  readonly training: number;
  readonly judging: number;
  readonly states: number;
}

/**
 * From this number of layers on, the peak of each phase is inside a layer or after all layers, as in the
 * whole model.
 */
const FEW_LAYERS = 2;

/**
 * Estimates the memory of runs of `layers` layers from two models of a few layers: the difference between
 * them is the memory of one layer. Null where this does not hold: where a memory target decides how many
 * layers are recomputed. `processBytes`: memory of the process beside its arrays.
 */
export function roughNeeds(
  layers: number,
  processBytes: number,
  phasesOf: (config: RunConfig, mostLayers: number) => Promise<PhaseBytes>,
): (config: RunConfig) => Promise<RoughlyNeeded | null> {
  const unpaged = once(async (config: RunConfig): Promise<PhaseBytes | null> => {
    const { gradientCheckpointing } = config;
    const together = typeof gradientCheckpointing === 'number' ? gradientCheckpointing : 1;
    const few = FEW_LAYERS * together;
    const more = few + together;
    if (typeof gradientCheckpointing === 'string' || more >= layers) return null;
    const one = await phasesOf(config, few);
    const two = await phasesOf(config, more);
    const at = (of: keyof PhaseBytes): number => two[of] + ((layers - more) / together) * (two[of] - one[of]);
    return {
      building: at('building'),
      training: at('training'),
      judging: at('judging'),
      states: at('states'),
    };
  });
  return async (config) => {
    const { optimizer, optimizerMemoryBudget: budget } = config;
    const paged = isPaged(optimizer);
    if (paged && budget === null) return null;
    const whole = await unpaged(
      paged
        ? {
            ...config,
            optimizer: optimizer.replace('paged_', '') as RunConfig['optimizer'],
            optimizerMemoryBudget: null,
          }
        : config,
    );
    if (!whole) return null;
    // a budget is of all layers together
    const stateBytes = paged ? Math.min(whole.states, budget!) : whole.states;
    return {
      leastBytes:
        processBytes +
        Math.max(whole.building, Math.max(whole.training, whole.judging) - whole.states + stateBytes),
      stateBytes,
    };
  };
}
