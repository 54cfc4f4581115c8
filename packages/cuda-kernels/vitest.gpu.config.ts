import { mergeConfig } from 'vitest/config';
import { testProject } from '../../vitest.base.ts';

/** The tests that need a GPU: `npm run test:gpu` in the root. */
const config = mergeConfig(testProject('cuda-kernels'), { test: { testTimeout: 600_000 } });
config.test.include = ['test/**/*.gpu.test.ts'];
config.test.exclude = [];

export default config;
