import { cpus } from 'node:os';
import LEVELS from '../../levels.json' with { type: 'json' };
import type { NativeLevel } from './addon-functions.ts';
import { loadAddon } from '../load-addon.ts';

/**
 * Levels for tests only: code of one width, executed with another instruction set. They are never chosen by
 * default.
 */
export const TEST_LEVELS: readonly string[] = LEVELS.filter(({ forTests }) => forTests).map(
  ({ name }) => name,
);

/** The instruction set levels of the addon on this machine, or why there are none. */
export type CpuLevels =
  | {
      readonly available: true;
      /** The addon's file. */
      readonly path: string;
      /**
       * All levels in the addon, the best one last. `missing` names the CPU features that this machine lacks.
       */
      readonly levels: readonly NativeLevel[];
      /** Levels that this addon was built without: `node scripts/build-addon.mjs` builds all. */
      readonly notBuilt: readonly string[];
      /** The level that is chosen by default. */
      readonly best: string;
      /** The level in QDYLORA_CPU_LEVEL; null if the variable is not set. */
      readonly forced: string | null;
    }
  | { readonly available: false; readonly reason: string; readonly nextStep: string };

/**
 * What a backend would choose on this machine (`forced`: what QDYLORA_CPU_LEVEL says instead), and why not
 * something else. For `doctor`.
 */
export function cpuLevels(addonPath?: string): CpuLevels {
  const loaded = loadAddon(addonPath);
  if (!loaded.addon) return { available: false, reason: loaded.reason, nextStep: loaded.nextStep };
  const levels = loaded.addon.levels();
  const best = bestLevel(levels);
  if (best === undefined) return { available: false, ...noUsableLevel(levels) };
  const notBuilt = levelsNotBuilt(levels);
  return { available: true, path: loaded.path, levels, notBuilt, best, forced: forcedLevel() };
}

/** Levels for this kind of processor, those for tests apart, that an addon was built without. */
export const levelsNotBuilt = (built: readonly NativeLevel[]): string[] =>
  LEVELS.filter(({ name, forTests }) => !forTests && (process.arch === 'x64' || name === 'generic'))
    .map(({ name }) => name)
    .filter((name) => !built.some((level) => level.name === name));

/** Why an addon that was built on another machine, for its level only, is of no use on this one. */
export const noUsableLevel = (levels: readonly NativeLevel[]): { reason: string; nextStep: string } => ({
  reason: `the addon was built for ${levels
    .map(({ name, missing }) => `${name}, which needs ${missing}`)
    .join('; ')}`,
  nextStep: 'Rebuild it on this machine with `node scripts/build-addon.mjs`.',
});

/** What QDYLORA_CPU_LEVEL names, null where it names nothing. */
export const forcedLevel = (): string | null => process.env.QDYLORA_CPU_LEVEL || null;

/**
 * Levels that lose to the one before them on Intel's processors: vdpbf16ps does half of what float32
 * multiply-adds do there (Sapphire Rapids, 2026), and twice on AMD's.
 */
const SLOWER_ON_INTEL: readonly string[] = LEVELS.filter(({ slowerOnIntel }) => slowerOnIntel).map(
  ({ name }) => name,
);

/** The last (best) level that runs here, undefined where none does. */
export function bestLevel(
  levels: readonly NativeLevel[],
  processor: string = cpus()[0]?.model ?? '',
): string | undefined {
  const passedOver = [...TEST_LEVELS, ...(/intel/i.test(processor) ? SLOWER_ON_INTEL : [])];
  const usable = levels.filter(({ missing }) => !missing);
  return (usable.findLast(({ name }) => !passedOver.includes(name)) ?? usable.at(-1))?.name;
}
