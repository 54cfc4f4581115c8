import { isPaged } from '@qdylora/trainer';
import type { RunConfig } from '../../config/resolve-run.ts';
import { once, type RoughlyNeeded } from './needs-of-runs.ts';

/**
 * Arrays of a run while its model is built, and from then on; and the optimizer's states among the latter.
 */
export interface PhaseBytes {
  readonly building: number;
  readonly training: number;
  readonly states: number;
}

/**
 * From so many layers on, the fullest moment of each phase is one inside a layer, or behind all of them, as
 * in the whole model.
 */
const FEW_LAYERS = 2;

/**
 * What runs of a model of `layers` layers need, from two models of a few of them: what the larger needs more,
 * each layer more needs too. Null where that is not so: where memory decides how many layers run again.
 * `processBytes`: what a process has beside its arrays.
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
    return { building: at('building'), training: at('training'), states: at('states') };
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
      leastBytes: processBytes + Math.max(whole.building, whole.training - whole.states + stateBytes),
      stateBytes,
    };
  };
}
