import { cpus } from 'node:os';
import type { NativeLevel } from './addon-functions.ts';
import { loadAddon } from './load-addon.ts';

/**
 * Levels that only tests ask for: code of one width run with another's instructions. Never chosen by itself.
 */
export const TEST_LEVELS: readonly string[] = ['avx2w16', 'avx2_tiles'];

export type CpuLevels =
  | {
      readonly available: true;
      readonly path: string;
      readonly levels: readonly NativeLevel[];
      readonly best: string;
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
  return { available: true, path: loaded.path, levels, best: bestLevel(levels), forced: forcedLevel() };
}

/** What QDYLORA_CPU_LEVEL names, null where it names nothing. */
export const forcedLevel = (): string | null => process.env.QDYLORA_CPU_LEVEL || null;

/**
 * Levels that lose to the one before them on Intel's processors: vdpbf16ps does half of what float32
 * multiply-adds do there (Sapphire Rapids, 2026), and twice on AMD's.
 */
const SLOWER_ON_INTEL: readonly string[] = ['avx512_bf16'];

/** The last (best) level that runs here. */
export function bestLevel(
  levels: readonly NativeLevel[],
  processor: string = cpus()[0]?.model ?? '',
): string {
  const passedOver = [...TEST_LEVELS, ...(/intel/i.test(processor) ? SLOWER_ON_INTEL : [])];
  return levels.filter(({ name, missing }) => !missing && !passedOver.includes(name)).at(-1)!.name;
}
