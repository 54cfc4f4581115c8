import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { temporaryFolder } from '@qdylora/testing/node';
import { describe, expect, it } from 'vitest';

const SCRIPT = fileURLToPath(new URL('../../../test/paged-memory.ts', import.meta.url));
const BUDGET = 32 * 2 ** 20;

interface Measured {
  readonly grown: number;
  readonly states: number;
  readonly paged: number;
}
/**
 * With a young generation that does not grow, which is 16 MB at moments of its own, and one heap of the C
 * library, so that what V8's compiler threads gave back is used again: neither is the optimizer's memory.
 */
function measure(budget: number): Measured {
  const { stdout, stderr } = spawnSync(
    process.execPath,
    [
      '--expose-gc',
      '--max-semi-space-size=1',
      '--conditions=source',
      '--import',
      'tsx',
      SCRIPT,
      temporaryFolder(),
      String(budget),
    ],
    { encoding: 'utf8', env: { ...process.env, MALLOC_ARENA_MAX: '1' } },
  );
  if (!stdout) throw new Error(stderr);
  return JSON.parse(stdout) as Measured;
}

describe('the resident memory of a process', () => {
  it(
    'grows by no more than the budget and a tenth, where 128 MiB of states are paged under 32 MiB; ' +
      'without pages it grows by all of them',
    { timeout: 600_000, retry: 2 }, // a machine may have other things to do, and V8 take some memory once
    ({ skip }) => {
      skip(!existsSync('/proc/self/status'), 'needs /proc');
      const unpaged = measure(0);
      const { grown, states, paged } = measure(BUDGET);
      expect(unpaged.grown).toBeGreaterThan(0.8 * 128 * 2 ** 20);
      expect(states + paged).toBeGreaterThan(128 * 2 ** 20);
      expect(grown).toBeLessThanOrEqual(1.1 * BUDGET);
    },
  );
});
