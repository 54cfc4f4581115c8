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

test.each([
  ['one rank', { method: 'qlora' }],
  ['two ranks', { ranks: [8, 64] }],
  ['ranks that are no halves', { loraR: 12 }],
  ['weights for each rank', { ranks: [8, 64], rankLossWeights: [1, 2] }],
  ['a rank that early stopping watches', { earlyStopping: 64, evalSteps: 10, valSetSize: 8 }],
  ['a rank that is evaluated between steps', { evalRanks: [4, 64] }],
  ['budgets of smaller ranks', { ranks: [8, 64], evalBudgets: 'ranks', valSetSize: 8 }],
  ['an odd micro batch', { microBatchSize: 3 }],
  ['a micro batch of 6', { microBatchSize: 6 }],
] as const)('of %s, what is proposed is what was measured, with as many rows a step', async (_what, keys) => {
  const options = { model: 'some', maxSeqLength: 64, ...keys };
  const asked = resolveShape(valuesOfOptions(options));
  const rowsOf = (run: RunConfig): number => run.microBatchSize * run.gradientAccumulationSteps;
  const bytesOf = (run: RunConfig): number => arraysOf(run).leastBytes + run.ranks!.length * 1e6;
  const exact = (run: RunConfig): Promise<Needed> =>
    Promise.resolve({ totalBytes: bytesOf(run), stateBytes: arraysOf(run).stateBytes });
  const needs = needsOfRuns({ exact, rough: () => Promise.resolve(null), canOffload: false });
  for (const share of [0.95, 0.9, 0.8, 0.7, 0.1]) {
    const fit = await fitMemory(asked, Math.round(share * bytesOf(asked)), needs);
    if (!fit) continue;
    const named = Object.entries(fit.values).map(([key, value]) => [
      key.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase()),
      value,
    ]);
    const proposed = resolveShape(
      valuesOfOptions({ ...options, ...(Object.fromEntries(named) as Record<string, unknown>) }),
    );
    expect([bytesOf(proposed), rowsOf(proposed)]).toEqual([fit.totalBytes, rowsOf(asked)]);
  }
});

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

test('ranks that workers are given are not lowered', async () => {
  const valuesFor = async (maxRankByWorker: number[] | null) => {
    const needs = needsOfRuns({
      exact: ({ loraR }) => Promise.resolve({ totalBytes: loraR, stateBytes: 0 }),
      rough: () => Promise.resolve(null),
      canOffload: false,
    });
    return (await fitMemory({ ...config, maxRankByWorker }, 16, needs))?.values;
  };
  expect(await valuesFor(null)).toMatchObject({ lora_r: 16 });
  expect(await valuesFor([64, 8])).toBeUndefined();
});
