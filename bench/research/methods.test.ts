import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { createCpuBackend } from '@qdylora/cpu-kernels';
import { addAdapterInPlace, sliceRank, type AdapterState } from '@qdylora/lora-dynamic';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { tinyRun } from '../../examples/test-support/tiny-run.ts';
import { attach } from './adapters.ts';
import { cutAt, cutState } from './cut-state.ts';
import { heldOutLosses } from './held-out-losses.ts';
import { finishSlices } from './finish-slices.ts';
import { DEFAULTS, type Cut, type FinishMoments, type Job } from './job.ts';
import { measureCuts } from './measure-cuts.ts';
import type { Setting } from './setting.ts';
import { tinySetting } from './tiny-setting.ts';
import { blockFactors, trainMatryoshka } from './train-matryoshka.ts';
import { trainOne, type Trained } from './train-one.ts';
import { trainSeparate } from './train-separate.ts';
import { trainSqueezed } from './train-squeezed.ts';

// The trainers print their progress to stderr.
beforeEach(() => {
  vi.spyOn(console, 'error').mockImplementation(() => {});
});
afterEach(() => {
  vi.restoreAllMocks();
});

/** Runs `body` on a new setting. */
async function withSetting<T>(job: Partial<Job>, body: (setting: Setting) => Promise<T>): Promise<T> {
  using tiny = tinyRun();
  using backend = await createCpuBackend();
  const setting = await tinySetting(tiny, backend, job);
  return await body({ ...setting, outputDir: mkdtempSync(join(tiny.folder, 'run-')) });
}

const lossesOf = async ({ job, heldOut }: Setting, { views }: Trained) =>
  (await heldOutLosses(job.ranks, views, heldOut)).losses;

/** scale·B·A of the first layer at a rank: [out, in] */
function productOf(state: AdapterState, rank: number): Float32Array {
  const { layers, scale } = sliceRank(state, rank);
  const [layer] = layers;
  return addAdapterInPlace(new Float32Array(layer.inFeatures * layer.outFeatures), layer, scale);
}

/** Rounding of float32: sums over eight rows, a square root and one more product. */
const TOLERANCE = 1e-5;

function expectNear(actual: Float32Array, expected: Float32Array): void {
  const largest = Math.max(...expected.map(Math.abs));
  expect(largest).toBeGreaterThan(0);
  actual.forEach((value, i) => {
    expect(Math.abs(value - expected[i])).toBeLessThanOrEqual(TOLERANCE * largest);
  });
}

describe('a wide adapter', () => {
  it.each<Cut>(['prefix', 'energy', 'moments'])(
    'cut by %s equals itself at its largest rank; a start at any scale keeps the product of its cut',
    (cut) =>
      withSetting({ kind: 'dedicated', ranks: [8] }, async (setting) => {
        const { adapted } = await trainOne(setting);
        const state = await cutState(setting, adapted!, cut);
        expectNear(productOf(state, 8), productOf(await adapted!.state(), 8));
        for (const rank of [1, 4]) {
          const start = cutAt(state, rank, { alpha: 8, scaling: 'sqrt' });
          expectNear(productOf(start, rank), productOf(state, rank));
          const slice = attach(setting.model, { ...setting.job, alpha: 8, scaling: 'sqrt' }, [rank]);
          await slice.load(start);
        }
      }),
  );

  it('is measured at every smaller rank, and trained further there', () =>
    withSetting({ kind: 'dedicated', ranks: [8], cuts: ['prefix', 'energy'] }, async (setting) => {
      const { adapted } = await trainOne(setting);
      const { prefix, energy, moments } = await measureCuts(setting, adapted!);
      expect(Object.keys(prefix!.losses)).toEqual(['1', '2', '4']);
      expect(Object.keys(energy!.rowSums)).toEqual(['1', '2', '4']);
      expect(moments).toBeUndefined();
      const squeeze = { cut: 'energy', ranks: [1, 4], share: 0.5, learningRate: 1e-2 } as const;
      const { losses } = await trainSqueezed(setting, adapted!, squeeze, 6);
      for (const rank of [1, 4]) expect(losses[rank]).toBeLessThan(energy!.losses[rank]);
    }));
});

describe('MatryoshkaLoRA', () => {
  it('weighs row i (from 0) by the sum of the scales of all ranks above i', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.integer({ min: 1, max: 16 }), { minLength: 1, maxLength: 5 }),
        fc.constantFrom<Job['scaling']>('paper', 'sqrt', 'uniform', 'constant'),
        (unsorted, scaling) => {
          const ranks = [...unsorted].sort((left, right) => left - right);
          const factors = blockFactors({ ...DEFAULTS, id: '', alpha: 4, scaling }, ranks);
          const scaleAtRank = (rank: number): number => {
            if (scaling === 'paper') return 4 / rank;
            if (scaling === 'sqrt') return 4 / Math.sqrt(rank);
            return scaling === 'uniform' ? 4 : 4 / ranks.at(-1)!;
          };
          for (let row = 0; row < ranks.at(-1)!; row++) {
            const block = ranks.findIndex((rank) => row < rank);
            const scales = ranks.filter((rank) => rank > row).map(scaleAtRank);
            expect(factors[block]).toBeCloseTo(
              scales.reduce((sum, scale) => sum + scale, 0),
              9,
            );
          }
        },
      ),
    );
  });

  it('of one rank is a dedicated run, bit for bit, if its scale is a power of two', async () => {
    const job = { ranks: [4], alpha: 8, scaling: 'sqrt' } as const; // 8 / √4
    const stateOf = async ({ adapted }: Trained) => (await adapted!.state()).layers;
    const matryoshka = await withSetting({ ...job, kind: 'matryoshka' }, async (setting) =>
      stateOf(await trainMatryoshka(setting)),
    );
    const dedicated = await withSetting({ ...job, kind: 'dedicated' }, async (setting) =>
      stateOf(await trainOne(setting)),
    );
    expect(matryoshka).toEqual(dedicated);
  });
});

it('row factors of 2 at half the learning rate train the same weights as the full rate', async () => {
  const stateOf = (job: Partial<Job>) =>
    withSetting({ ranks: [1, 2, 8], ...job }, async (setting) => {
      const { adapted } = await trainOne(setting);
      return (await adapted!.state()).layers;
    });
  const atFullRate = await stateOf({ learningRate: 2e-3 });
  expect(await stateOf({ learningRate: 1e-3, rowFactors: [2, 2, 2] })).toEqual(atFullRate);
  expect(await stateOf({ learningRate: 2e-3, rowFactors: [1, 1, 2] })).not.toEqual(atFullRate);
});

describe('a rank with its own adapter', () => {
  const job = { ranks: [1, 2, 8], alpha: 8, scaling: 'sqrt' } as const;

  it('trains as in a run where every rank has its own adapter; the other ranks share theirs', async () => {
    const losses = (kind: Job['kind'], privateRanks: number[]) =>
      withSetting({ ...job, kind, privateRanks }, async (setting) =>
        lossesOf(setting, await trainSeparate(setting)),
      );
    const separate = await losses('separate', []);
    const partly = await losses('nested', [1]);
    expect(partly[1]).toBe(separate[1]);
    expect(partly[2]).not.toBe(separate[2]);
    expect(await losses('nested', [1, 2, 8])).toEqual(separate);
  });

  it('does not change the tokens of the run', async () => {
    const tokens = (privateRanks: number[], trainer: typeof trainOne) =>
      withSetting({ ...job, privateRanks }, async (setting) => (await trainer(setting)).tokens);
    expect(await tokens([1], trainSeparate)).toBe(await tokens([], trainOne));
  });

  it('starts from the first sorted row of the largest rank after the steps that train it alone', () =>
    withSetting({ ...job, scaling: 'uniform', wideShare: 0.5, privateRate: 1e-6 }, async (setting) => {
      const withPrivateRank = { ...setting, job: { ...setting.job, privateRanks: [1] } };
      const losses = await lossesOf(setting, await trainSeparate(withPrivateRank));
      const half = { ...setting, steps: 3, job: { ...setting.job, cuts: ['energy'] as const } };
      const { adapted } = await trainOne({ ...half, job: { ...half.job, wideShare: 1 } });
      const { energy } = await measureCuts(half, adapted!);
      expect(losses[1]).toBeCloseTo(energy!.losses[1], 2); // A and B are rounded to bf16 in other scales
    }));
});

describe('a slice of a nested run', () => {
  it('starts with the moments of its run, or with none', () =>
    withSetting({ ranks: [1, 2, 4], scaling: 'uniform', rankRates: 'steep' }, async (setting) => {
      const { adapted } = await trainOne(setting);
      const finish = (moments: FinishMoments) => ({
        ranks: [1, 4],
        shares: [0.5],
        learningRate: 1e-2,
        moments,
      });
      const job = { ...setting.job, finish: [finish('zero'), finish('kept')] };
      const results = await finishSlices({ ...setting, job }, adapted!);
      expect(results.map(({ rank, moments, steps }) => [rank, moments, steps])).toEqual([
        [1, 'zero', 3],
        [4, 'zero', 3],
        [1, 'kept', 3],
        [4, 'kept', 3],
      ]);
      const [zero1, zero4, kept1, kept4] = results.map(({ loss }) => loss);
      expect([kept1 === zero1, kept4 === zero4]).toEqual([false, false]);
    }));
});
