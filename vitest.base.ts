import { fileURLToPath } from 'node:url';
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
      expect: { poll: { timeout: 60_000 } },
      // The files of a package share one process and their imports: 65 s of imports instead of 200 s. That is
      // sound because modules keep no state that a result depends on (only caches of immutable values), and a
      // test that changes the process (a variable of the environment, the working directory, a spy) changes it
      // back.
      isolate: false,
      setupFiles: [fileURLToPath(new URL('packages/testing/src/vitest/set-up-file.ts', import.meta.url))],
    },
  });
