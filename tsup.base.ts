import type { Options } from 'tsup';

/**
 * How every package is bundled: ESM, source maps, one bundle per entry; other packages stay imports. Types are
 * made by scripts/build-types.mjs for all packages at once.
 */
export const build = (entry: Options['entry'] = ['src/index.ts']): Options => ({
  entry,
  format: ['esm'],
  clean: ['!**/*.d.ts'],
  sourcemap: true,
  target: 'node20',
  splitting: false,
});
