import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { temporaryFolder } from '@qdylora/testing/node';
import { expect, it } from 'vitest';

it('without a compiler the build of the addons ends with status 1 and one line', () => {
  const script = fileURLToPath(new URL('../scripts/build-addon.mjs', import.meta.url));
  const { status, stderr } = spawnSync(process.execPath, [script], {
    env: { PATH: temporaryFolder() },
    encoding: 'utf8',
  });
  expect(stderr).toMatch(/^\[build-addon\] There is no C\+\+ compiler \(tried .*\)\. Name one with CXX\.\n$/);
  expect(status).toBe(1);
});
