import { mergeConfig } from 'vitest/config';
import { testProject } from '../../vitest.base.ts';

export default mergeConfig(testProject('cuda-kernels'), {
  test: { globalSetup: ['test/global-set-up.ts'] },
});
