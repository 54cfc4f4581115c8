import { ALL_CASES, checkConformance } from '@qdylora/testing/conformance';
import { expect, test } from 'vitest';
import { cudaOpNames } from '../src/index.ts';
import { NOTHING, openFakeDriver, withFakeBackend } from './fake-driver.ts';

// The backend as users have it, on the driver that works without a GPU. The emulator checks the kernels
// themselves, with more schedules, in conformance.test.ts.

const library = await openFakeDriver();
const isDeep = process.env.QDYLORA_DEEP === '1';

const ops = cudaOpNames();

/** Capabilities with the images that they get, and random calls of each case. */
const DEVICES = [
  ['7.5', 'sm_75', 1],
  ['8.6', 'sm_86', 2],
  ['11.0', 'compute_80', 1],
] as const;

test.skipIf(!library).each(DEVICES)(
  'every op that has a kernel agrees with its reference on a device of capability %s',
  async (capability, level, numRuns) => {
    const calls = await withFakeBackend(library!, `capability=${capability} seed=3`, async (backend) => {
      expect(backend.level).toBe(level);
      const groups = [{ label: level, backends: [backend] }];
      for (const one of ALL_CASES.filter(({ op }) => ops.has(op.name)))
        await checkConformance(groups, [one], {
          numRuns: isDeep ? 20 : numRuns,
          withEdges: isDeep,
          ...(!isDeep && { seed: 2 }),
        });
    });
    expect(calls.at(-1)!.ledger).toEqual(NOTHING);
    expect(calls.some(({ name }) => name === 'cuLaunchKernel')).toBe(true);
  },
);
