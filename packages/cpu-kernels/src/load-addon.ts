import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { NativeAddon } from './addon/addon-functions.ts';
import { explainLoadFailure } from './addon/explain-load-failure.ts';

/** The addon, or the reason why there is none. */
export type LoadedAddon =
  | { readonly addon: NativeAddon; readonly path: string }
  | { readonly addon: null; readonly reason: string; readonly nextStep: string };

/** All files that this process has loaded, including its C library. */
const MAPS = '/proc/self/maps';

/**
 * The C library, from the files that are loaded: `process.report.getReport()` takes 10 to 26 ms (Zen 3, Node
 * 20, 2026).
 */
const libc = (): string =>
  process.platform !== 'linux'
    ? ''
    : existsSync(MAPS) && readFileSync(MAPS, 'latin1').includes('/ld-musl-')
      ? '-musl'
      : '-gnu';

const EXPORTS = [
  'levels',
  'open',
  'reserve',
  'unreserve',
  'discard',
  'reserveFile',
  'preferLargePages',
] as const satisfies (keyof NativeAddon)[];

/**
 * Places of an addon: only `path` if it is set, a file or a package; else the platform's package, then the
 * local build of this package.
 */
const candidates = (path?: string): string[] =>
  path
    ? [path.startsWith('.') || existsSync(path) ? resolve(path) : path]
    : [
        `@qdylora/cpu-kernels-${process.platform}-${process.arch}${libc()}`,
        fileURLToPath(new URL('../addon/build/Release/qdylora_cpu.node', import.meta.url)),
      ];

/** Refuses a module that is not the addon. */
function asAddon(loaded: unknown): NativeAddon {
  const missing = EXPORTS.filter(
    (name) => typeof (loaded as Partial<NativeAddon> | null | undefined)?.[name] !== 'function',
  );
  if (missing.length > 0)
    throw new Error(`this module is not the addon of this package: it has no ${missing.join(', ')}`);
  return loaded as NativeAddon;
}

/** Loads the native addon, or returns the reason why it cannot. It never throws. */
export function loadAddon(path?: string): LoadedAddon {
  const require = createRequire(import.meta.url);
  const tried: { path: string; error: unknown }[] = [];
  for (const candidate of candidates(path)) {
    try {
      return { addon: asAddon(require(candidate)), path: candidate };
    } catch (error) {
      tried.push({ path: candidate, error });
    }
  }
  return { addon: null, ...explainLoadFailure(tried) };
}
