import { optionRule, QdyloraError, someText, trueOrFalse, type OptionRules } from '@qdylora/contract';
import type { NativeAddon, NativeFunction, NativeLevel } from './addon-functions.ts';
import { bestLevel, forcedLevel, levelsNotBuilt, noUsableLevel, TEST_LEVELS } from './cpu-levels.ts';
import { flattenArguments } from './flatten-arguments.ts';
import { loadAddon } from '../load-addon.ts';
import { MOST_THREADS, usableThreads } from './usable-threads.ts';

export interface OpenLevelOptions {
  /** Threads of the kernels; default: `usableThreads()`. Results do not depend on it. */
  readonly numThreads?: number;
  /**
   * Instruction set: `generic`, `avx2`, `avx512`, `avx512_bf16`, `amx_bf16`; default: what the environment
   * variable QDYLORA_CPU_LEVEL names, else the best that this machine has.
   */
  readonly level?: string;
  /**
   * One kernel per op, whatever the number of rows: a token's result then has the same bits alone and among
   * others. Costs speed in generation. Default: false.
   */
  readonly batchInvariant?: boolean;
  /** The addon's file, instead of looking for it. */
  readonly addonPath?: string;
}

export const LEVEL_RULES: OptionRules<OpenLevelOptions> = {
  numThreads: optionRule(
    `a whole number from 1 to ${MOST_THREADS}`,
    (value) => Number.isInteger(value) && (value as number) >= 1 && (value as number) <= MOST_THREADS,
  ),
  level: someText,
  batchInvariant: trueOrFalse,
  addonPath: someText,
};

/** The addon with its functions at one level, on a team of threads of their own. */
export interface OpenLevel {
  readonly addon: NativeAddon;
  readonly level: string;
  readonly native: ReturnType<NativeAddon['open']>;
}

/**
 * @throws QdyloraError UNSUPPORTED where the addon is missing (with the reason); BAD_ARGUMENT where the level
 * cannot run here (with those that can).
 */
export function openLevel({
  numThreads = usableThreads(),
  batchInvariant = false,
  addonPath,
  ...options
}: OpenLevelOptions): OpenLevel {
  const loaded = loadAddon(addonPath);
  if (!loaded.addon)
    throw new QdyloraError('UNSUPPORTED', {
      where: 'cpu',
      problem: `the native addon could not be loaded: ${loaded.reason}`,
      nextStep: loaded.nextStep,
    });
  const level = chooseLevel(loaded.addon.levels(), options.level);
  return { addon: loaded.addon, level, native: loaded.addon.open(level, numThreads, batchInvariant) };
}

/**
 * Opens a level and returns what `make` builds on it. If `make` throws, the level is closed, which ends its
 * threads.
 *
 * @throws as `openLevel` and `make` do
 */
export function onOpenLevel<T>(options: OpenLevelOptions, make: (open: OpenLevel) => T): T {
  const open = openLevel(options);
  try {
    return make(open);
  } catch (error) {
    open.native.close();
    throw error;
  }
}

/** The level that is named, or else the best. @throws QdyloraError where it cannot run. */
function chooseLevel(levels: readonly NativeLevel[], named: string | undefined): string {
  const best = bestLevel(levels);
  if (best === undefined) {
    const { reason, nextStep } = noUsableLevel(levels);
    throw new QdyloraError('UNSUPPORTED', { where: 'cpu', problem: `${reason}.`, nextStep });
  }
  const level = named ?? forcedLevel() ?? best;
  const usable = levels.filter(({ missing }) => !missing).map(({ name }) => name);
  if (usable.includes(level)) return level;
  const missing = levels.find(({ name }) => name === level)?.missing;
  const isNotBuilt = levelsNotBuilt(levels).includes(level);
  const offered = usable.filter((name) => !TEST_LEVELS.includes(name));
  throw new QdyloraError('BAD_ARGUMENT', {
    where: named === undefined ? 'QDYLORA_CPU_LEVEL' : 'cpu',
    problem:
      `the CPU level must be one of ${offered.join(', ')} (got ${level}` +
      `${missing ? `, which needs ${missing}` : isNotBuilt ? ', which is not built' : ''})`,
    nextStep: isNotBuilt
      ? 'Build every level with `node scripts/build-addon.mjs` in the package @qdylora/cpu-kernels.'
      : 'Leave it out to get the best one.',
    details: { level, usable },
  });
}

/** What C++ threw, as an error of ours: BAD_DATA where the contents of an array cannot be, else NATIVE. */
export const nativeError = (where: string, cause: unknown): QdyloraError =>
  new QdyloraError((cause as { code?: string }).code === 'BAD_DATA' ? 'BAD_DATA' : 'NATIVE', {
    where,
    problem: (cause as Error).message,
    cause,
  });

/**
 * The C++ function of a name. @throws QdyloraError NATIVE where the addon has none; and at the call, where
 * its arguments do not fit, that or BAD_DATA
 */
export const functionOf = ({ native: { functions } }: OpenLevel, name: string): NativeFunction => {
  // not what every object has, such as toString
  const call = Object.hasOwn(functions, name) ? functions[name] : undefined;
  if (!call)
    throw new QdyloraError('NATIVE', {
      where: 'cpu',
      problem: `the addon has no function ${name}`,
      nextStep: 'Rebuild it with `node scripts/build-addon.mjs --force`.',
    });
  const { lists = [] } = call;
  return (...parameters) => {
    const values = flattenArguments(parameters, lists);
    try {
      return call(...values);
    } catch (cause) {
      throw nativeError(name, cause);
    }
  };
};
