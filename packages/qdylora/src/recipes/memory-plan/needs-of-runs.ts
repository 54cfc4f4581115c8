import type { RunConfig } from '../../config/resolve-run.ts';

/** Peak memory of a run. */
export interface Needed {
  readonly totalBytes: number;
  readonly stateBytes: number;
}

/**
 * An estimate from two short dry runs: the bytes of arrays (`leastBytes`, a lower bound) and of the optimizer
 * states among them.
 */
export interface RoughlyNeeded {
  readonly leastBytes: number;
  readonly stateBytes: number;
}

/**
 * Two ways to find the memory of a run: exactly, by its whole dry step; and roughly, in a fraction of the
 * time. Rough is null where only the whole step can tell.
 */
export interface NeedFinders {
  readonly exact: (config: RunConfig) => Promise<Needed>;
  readonly rough: (config: RunConfig) => Promise<RoughlyNeeded | null>;
  /** Whether the backend has memory beside its own, for `activation_offload`. */
  readonly canOffload: boolean;
}

/**
 * Answers questions about runs. Each run is computed once, and exactly only where the estimate does not
 * decide.
 */
export interface NeedsOfRuns {
  readonly canOffload: boolean;
  exact(config: RunConfig): Promise<Needed>;
  fits(config: RunConfig, memoryBytes: number): Promise<boolean>;
  /** Whether `config` needs less than `other`. */
  isLess(config: RunConfig, other: RunConfig): Promise<boolean>;
  /**
   * Bytes left for optimizer states beside everything else in `memoryBytes`; negative: none. Below `least`
   * this may be an upper bound.
   */
  roomForStates(config: RunConfig, memoryBytes: number, least: number): Promise<number>;
}

/** Gaps between arrays: twice the 1.4 % in plans of whole models (LLaMA-13b, Falcon-40b, 2026). */
const GAP_SHARE = 0.03;
/** Besides, for models of few layers, in which gaps are larger: 8 % in one of two such layers. */
const FIXED_GAP_BYTES = 2 ** 27;

/** An upper bound: `leastBytes` leaves out the gaps between arrays. */
const mostBytes = ({ leastBytes }: RoughlyNeeded): number => (1 + GAP_SHARE) * leastBytes + FIXED_GAP_BYTES;
/** Layers that differ (biases, windows) change the estimate by less than this. */
const ROUGHNESS = 0.01;

export function needsOfRuns(finders: NeedFinders): NeedsOfRuns {
  const exact = once(finders.exact);
  const rough = once(finders.rough);
  return {
    canOffload: finders.canOffload,
    exact,
    async fits(config, memoryBytes) {
      const about = await rough(config);
      if (about && about.leastBytes > memoryBytes) return false;
      if (about && mostBytes(about) <= memoryBytes) return true;
      return (await exact(config)).totalBytes <= memoryBytes;
    },
    async isLess(config, other) {
      const [one, two] = [await rough(config), await rough(other)];
      return one && two
        ? one.leastBytes < two.leastBytes
        : (await exact(config)).totalBytes < (await exact(other)).totalBytes;
    },
    async roomForStates(config, memoryBytes, least) {
      const about = await rough(config);
      const most = about && memoryBytes - about.leastBytes + (1 + ROUGHNESS) * about.stateBytes;
      if (most !== null && most < least) return most;
      const { totalBytes, stateBytes } = await exact(config);
      return memoryBytes - totalBytes + stateBytes;
    },
  };
}

/** Remembers the answer for each run. */
export function once<T>(find: (config: RunConfig) => Promise<T>): (config: RunConfig) => Promise<T> {
  const found = new Map<string, Promise<T>>();
  return (config) => {
    const key = JSON.stringify(Object.entries(config).sort(([a], [b]) => (a < b ? -1 : 1)));
    if (!found.has(key)) found.set(key, find(config));
    return found.get(key)!;
  };
}
