import { mergeConfig } from 'vitest/config';
import { testProject } from '../vitest.base.ts';

export default mergeConfig(testProject('examples'), { test: { include: ['*.test.ts'] } });
