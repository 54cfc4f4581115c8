import type { HalfDType } from '@qdylora/contract';
import { checkKernel } from '@qdylora/testing';
import { describe, expect, test } from 'vitest';
import { cudaKernels, openCubins } from '../src/index.ts';
import { createEmulatedBackend } from './emulated-backend.ts';
import { openEmulator } from './emulator.ts';
import { halvedCall, smallCalls } from './small-calls.ts';

const emulator = await openEmulator();
const cubins = await openCubins();

const withHalves = cudaKernels({ launch: () => undefined, withScratch: () => undefined })
  .map(({ op }) => op)
  .filter(({ halves }) => halves?.length);

/** Type, PTX, calls of each case. */
const SETTINGS: readonly (readonly [HalfDType, string, number])[] = [
  ['bf16', 'compute_80', 4],
  ['f16', 'compute_75', 1],
];

describe.skipIf(!emulator).each(SETTINGS)('in %s on %s', (dtype, target, count) => {
  const backends = [0, 1].map((seed) =>
    createEmulatedBackend({
      emulator: emulator!,
      ptxOf: (source) => Buffer.from(cubins.image(source, target)).toString('utf8'),
      seed,
      isSkewed: seed === 1,
    }),
  );

  test.each(withHalves)('$name takes and gives it', async ({ name }) => {
    const calls = smallCalls([name], count, { half: dtype }).map((call) => halvedCall(call, dtype));
    expect(calls.length).toBeGreaterThan(0);
    for (const { op, call } of calls) await checkKernel(op, [{ label: target, backends }], call);
  });
});
