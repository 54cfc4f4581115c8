import { checkKernel } from '@qdylora/testing';
import { expect, test } from 'vitest';
import { cudaKernels, openCubins } from '../src/index.ts';
import { createEmulatedBackend } from './emulated-backend.ts';
import { openEmulator } from './emulator.ts';
import { halvedCall, smallCalls } from './small-calls.ts';

const emulator = await openEmulator();
const cubins = await openCubins();

const withHalves = cudaKernels({ launch: () => undefined, withScratch: () => undefined })
  .map(({ op }) => op)
  .filter(({ halves }) => halves?.length);

test.skipIf(!emulator).each(withHalves)('$name takes and gives bfloat16', async ({ name }) => {
  const backends = [0, 1].map((seed) =>
    createEmulatedBackend({
      emulator: emulator!,
      ptxOf: (source) => Buffer.from(cubins.image(source, 'compute_80')).toString('utf8'),
      seed,
      isSkewed: seed === 1,
    }),
  );
  const calls = smallCalls([name], 4).map(halvedCall);
  expect(calls.length).toBeGreaterThan(0);
  for (const { op, call } of calls) await checkKernel(op, [{ label: 'PTX', backends }], call);
});
