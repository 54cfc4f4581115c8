import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { createCpuBackend } from '@qdylora/cpu-kernels';
import { mergeLayer, sliceRank, type AdapterState } from '@qdylora/lora-dynamic';
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

// The harness reports its progress there.
beforeEach(() => {
  vi.spyOn(console, 'error').mockImplementation(() => {});
});
afterEach(() => {
  vi.restoreAllMocks();
});

/** Runs `body` on a setting of its own. */
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
  return mergeLayer(new Float32Array(layer.inFeatures * layer.outFeatures), layer, scale);
}

/** Float32 sums over eight rows, a square root and a product more. */
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
    'cut by %s is the whole one at its largest rank, and goes on from its cut at any scale',
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
  it('weighs row i by the sum of the scales of all ranks above i', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.integer({ min: 1, max: 16 }), { minLength: 1, maxLength: 5 }),
        fc.constantFrom<Job['scaling']>('paper', 'sqrt', 'uniform', 'constant'),
        (unsorted, scaling) => {
          const ranks = [...unsorted].sort((left, right) => left - right);
          const factors = blockFactors({ ...DEFAULTS, id: '', alpha: 4, scaling }, ranks);
          const rows = ranks.map((rank, i) => rank - (ranks[i - 1] ?? 0));
          const weighted = factors.reduce((sum, factor, i) => sum + factor * rows[i], 0);
          const scaleOf = { paper: (r: number) => 4 / r, sqrt: (r: number) => 4 / Math.sqrt(r) };
          const served = ranks.map((rank) => {
            if (scaling === 'paper' || scaling === 'sqrt') return scaleOf[scaling](rank) * rank;
            return scaling === 'uniform' ? 4 * rank : (4 * rank) / ranks.at(-1)!;
          });
          expect(weighted).toBeCloseTo(
            served.reduce((sum, value) => sum + value, 0),
            9,
          );
        },
      ),
    );
  });

  it('of one rank is a dedicated run, bit for bit, where its scale is a power of two', async () => {
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

it('rows whose factors are 2 learn at half of the rate what others learn at the whole of it', async () => {
  const stateOf = (job: Partial<Job>) =>
    withSetting({ ranks: [1, 2, 8], ...job }, async (setting) => {
      const { adapted } = await trainOne(setting);
      return (await adapted!.state()).layers;
    });
  const whole = await stateOf({ learningRate: 2e-3 });
  expect(await stateOf({ learningRate: 1e-3, rowFactors: [2, 2, 2] })).toEqual(whole);
  expect(await stateOf({ learningRate: 2e-3, rowFactors: [1, 1, 2] })).not.toEqual(whole);
});

describe('a rank with rows of its own', () => {
  const job = { ranks: [1, 2, 8], alpha: 8, scaling: 'sqrt' } as const;

  it('learns what it learns where every rank has rows of its own; the others share theirs', async () => {
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

  it('changes no token of the run', async () => {
    const tokens = (privateRanks: number[], trainer: typeof trainOne) =>
      withSetting({ ...job, privateRanks }, async (setting) => (await trainer(setting)).tokens);
    expect(await tokens([1], trainSeparate)).toBe(await tokens([], trainOne));
  });

  it('begins with the first row of the largest rank, sorted after its steps', () =>
    withSetting({ ...job, scaling: 'uniform', wideShare: 0.5, privateRate: 1e-6 }, async (setting) => {
      const own = { ...setting, job: { ...setting.job, privateRanks: [1] } };
      const losses = await lossesOf(setting, await trainSeparate(own));
      const half = { ...setting, job: { ...setting.job, steps: 3, cuts: ['energy'] as const } };
      const { adapted } = await trainOne({ ...half, job: { ...half.job, wideShare: 1 } });
      const { energy } = await measureCuts(half, adapted!);
      expect(losses[1]).toBeCloseTo(energy!.losses[1], 2); // A and B are rounded to bf16 in other scales
    }));
});

describe('a slice of a nested run', () => {
  it('takes the moments of its run along, or starts with none', () =>
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
