import { mergeConfig } from 'vitest/config';
import { testProject } from '../vitest.base.ts';

export default mergeConfig(testProject('docs'), { test: { include: ['test/**/*.test.ts'] } });
