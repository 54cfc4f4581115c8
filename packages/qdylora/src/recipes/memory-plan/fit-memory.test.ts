import fc from 'fast-check';
import { expect, test } from 'vitest';
import { valuesOfOptions } from '../../config/explicit-values.ts';
import type { RunConfig } from '../../config/resolve-run.ts';
import { resolveShape } from '../run/prepare-run.ts';
import { fitMemory } from './fit-memory.ts';
import { needsOfRuns, type Needed, type RoughlyNeeded } from './needs-of-runs.ts';

const GIB = 2 ** 30;
const config = resolveShape(
  valuesOfOptions({
    model: 'some',
    maxSeqLength: 1024,
    microBatchSize: 4,
    doubleQuantization: false,
    gradientCheckpointing: false,
  }),
);

/** Arrays of a run that grow as those of a real one do. */
function arraysOf({
  gradientCheckpointing,
  activationOffload,
  microBatchSize,
  maxSeqLength,
  loraR,
  optimizer,
  optimizerMemoryBudget,
  doubleQuantization,
}: RunConfig): RoughlyNeeded {
  const bytesPerToken = activationOffload ? 2e5 : gradientCheckpointing ? 4e5 : 3e6;
  const whole = (optimizer.includes('8bit') ? 2 : 8) * loraR * 4e6;
  const stateBytes = optimizer.startsWith('paged') ? Math.min(whole, optimizerMemoryBudget!) : whole;
  return {
    stateBytes,
    leastBytes:
      (doubleQuantization ? 3.5e9 : 3.8e9) +
      microBatchSize * maxSeqLength * bytesPerToken +
      8 * loraR * 4e6 +
      stateBytes,
  };
}

/** Activations can leave only where layers run again in backward. */
const OFFLOADED = { gradient_checkpointing: true, activation_offload: true };

const cases = fc.record({
  memoryBytes: fc.double({ min: 3, max: 18, noNaN: true }).map((gib) => Math.round(gib * GIB)),
  gapShare: fc.double({ min: 0, max: 0.03, noNaN: true }),
  canOffload: fc.boolean(),
});

test(
  'what makes a run fit is the same whether rough numbers decide where they can or every run is looked ' +
    'at; it fits; and it takes fewer looks',
  async () => {
    let looks = 0;
    let roughLooks = 0;
    await fc.assert(
      fc.asyncProperty(cases, async ({ memoryBytes, gapShare, canOffload }) => {
        const exactly = (runConfig: RunConfig): Needed => {
          const { leastBytes, stateBytes } = arraysOf(runConfig);
          return { totalBytes: Math.round(leastBytes * (1 + gapShare)), stateBytes };
        };
        const all = await fitMemory(
          config,
          memoryBytes,
          needsOfRuns({
            exact: (runConfig) => {
              looks++;
              return Promise.resolve(exactly(runConfig));
            },
            rough: () => Promise.resolve(null),
            canOffload,
          }),
        );
        const some = await fitMemory(
          config,
          memoryBytes,
          needsOfRuns({
            exact: (runConfig) => {
              roughLooks++;
              return Promise.resolve(exactly(runConfig));
            },
            rough: (runConfig) => Promise.resolve(arraysOf(runConfig)),
            canOffload,
          }),
        );
        expect(some).toEqual(all);
        if (!some) return;
        expect(some.totalBytes).toBeLessThanOrEqual(memoryBytes);
        if (some.values.activation_offload)
          expect([canOffload, some.values]).toMatchObject([true, OFFLOADED]);
      }),
    );
    expect(roughLooks).toBeLessThan(looks / 2);
  },
);

test('rough numbers that are far too low lead to the same, by looking at every run in the end', async () => {
  const exact = (runConfig: RunConfig): Promise<Needed> =>
    Promise.resolve({
      totalBytes: arraysOf(runConfig).leastBytes,
      stateBytes: arraysOf(runConfig).stateBytes,
    });
  const memoryBytes = 6 * GIB;
  const fit = await fitMemory(
    config,
    memoryBytes,
    needsOfRuns({
      exact,
      rough: async (runConfig) => ({
        ...arraysOf(runConfig),
        leastBytes: arraysOf(runConfig).leastBytes / 2,
      }),
      canOffload: true,
    }),
  );
  expect(fit).toEqual(
    await fitMemory(
      config,
      memoryBytes,
      needsOfRuns({ exact, rough: () => Promise.resolve(null), canOffload: true }),
    ),
  );
  expect(fit!.totalBytes).toBeLessThanOrEqual(memoryBytes);
});
