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

/**
 * How the packages for browsers are built: a file of output for each file of source. Their modules define ops
 * and types when they are loaded, which a bundler cannot remove from a single file; whole files it can, since
 * `sideEffects` is false.
 */
export const buildFiles = (): Options => ({
  ...build(['src/**/*.ts', '!src/**/*.test.ts']),
  esbuildPlugins: [
    {
      name: 'keep-files',
      setup: ({ onResolve }) =>
        onResolve({ filter: /^\.\.?\// }, ({ kind, path }) =>
          kind === 'entry-point' ? null : { path: path.replace(/\.ts$/, '.js'), external: true },
        ),
    },
  ],
});
