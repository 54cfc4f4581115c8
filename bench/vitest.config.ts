import { mergeConfig } from 'vitest/config';
import { testProject } from '../vitest.base.ts';

export default mergeConfig(testProject('bench'), { test: { include: ['*.test.ts', 'research/*.test.ts'] } });
