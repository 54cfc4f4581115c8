import type { Options } from 'tsup';

/** How every package is built: ESM, types, source maps, one bundle per entry; other packages stay imports. */
export const build = (entry: Options['entry'] = ['src/index.ts']): Options => ({
  entry,
  format: ['esm'],
  dts: { compilerOptions: { customConditions: [], incremental: false } },
  clean: true,
  sourcemap: true,
  target: 'node20',
  splitting: false,
});
