import { defineConfig } from 'vitest/config';

/** One package's tests, run from source (the `source` export condition), so no build is needed first. */
export const testProject = (name: string) =>
  defineConfig({
    resolve: { conditions: ['source'] },
    ssr: { resolve: { conditions: ['source', 'node', 'import', 'module', 'default'] } },
    test: {
      name,
      include: ['src/**/*.test.ts', 'kernels/**/*.test.ts', 'test/**/*.test.ts'],
      exclude: ['**/*.browser.test.ts', '**/*.gpu.test.ts', '**/node_modules/**'],
      testTimeout: 120_000,
      hookTimeout: 120_000,
    },
  });
