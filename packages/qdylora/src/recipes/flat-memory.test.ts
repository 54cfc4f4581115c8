import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

/**
 * Enough steps to see 4 kB left behind by each: 3 MB over the second half. The young generation of V8 is held
 * at 1 MiB (`--max-semi-space-size`): it otherwise grows by 16 MB within these steps, and then no further.
 */
const STEPS = 1500;

it(
  'a run leaves nothing behind with each step: resident memory stays as it is',
  { timeout: 300_000, retry: 2 }, // a leak is there each time, what V8 takes once is not
  async () => {
    const { stdout } = await promisify(execFile)(process.execPath, [
      '--expose-gc',
      '--max-semi-space-size=1',
      '--conditions=source',
      '--import',
      'tsx',
      fileURLToPath(new URL('../../test/flat-memory.ts', import.meta.url)),
      String(STEPS),
    ]);
    const { steps, bytes_per_step: slope } = JSON.parse(stdout) as { steps: number; bytes_per_step: number };
    expect(steps).toBe(STEPS);
    expect(slope, stdout).toBeLessThan(4096);
  },
);
