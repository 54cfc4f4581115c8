import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { QdyloraError } from '@qdylora/contract';
import { sliceState, type Adapted } from '@qdylora/lora-dynamic';
import { temporaryFolder } from '@qdylora/testing/node';
import { describe, expect, it } from 'vitest';
import { numbersOf, tinyAdapted, tinyBatch, tinyModel, type TinyModel } from '../../test/tiny-model.ts';
import { failureOf, tinyOptions } from '../../test/tiny-run.ts';
import {
  createOptimizer,
  freshProgress,
  OPTIMIZER_NAMES,
  saveState,
  startOptimizer,
  train,
  trainStep,
  type Optimizer,
  type StateArray,
} from '../index.ts';

const RANKS = [1, 64, 128];
/** Rows of 64 numbers: 8-bit states begin at rank 64, and the rows of rank 1 have float32 states. */
const HIDDEN = 64;

const adaptedOf = (ranks: readonly number[], alpha?: number): Adapted<TinyModel> =>
  tinyAdapted({ ranks, scaling: 'uniform', alpha }, tinyModel(undefined, undefined, HIDDEN));

const optimizerOf = (name: string, adapted: Adapted<TinyModel>): Optimizer =>
  createOptimizer(name, adapted.parameters(), {
    learningRate: 1e-2,
    weightDecay: 0.01,
    momentum: 0.9,
    paging: { budgetBytes: 2 ** 20, folder: temporaryFolder() },
  });

const step = (adapted: Adapted<TinyModel>, rank: number, optimizer: Optimizer, seed: number) =>
  trainStep(adapted.atRank(rank), tinyBatch(4, seed), optimizer, { rows: null, maxGradNorm: null });

/** A nested adapter after three steps, its optimizer, and the checkpoint of both. */
async function nestedRun(name: string) {
  const adapted = adaptedOf(RANKS);
  const optimizer = optimizerOf(name, adapted);
  for (const [i, rank] of [128, 1, 64].entries()) await step(adapted, rank, optimizer, i);
  const { backend } = adapted.model;
  const checkpoint = join(temporaryFolder(), 'step-3');
  const identity = { optimizer: name.replace('paged_', '') };
  await saveState(checkpoint, { backend, optimizer, progress: freshProgress(), identity });
  return { adapted, optimizer, checkpoint };
}

/** The rows of one rank as an adapter of their own. */
async function sliceOf(nested: Adapted<TinyModel>, rank: number): Promise<Adapted<TinyModel>> {
  const state = sliceState(await nested.state(), rank);
  const slice = adaptedOf([rank], state.alpha);
  await slice.load(state);
  return slice;
}

/** The first numbers of each array, as many as the other one has. */
const prefixes = (arrays: readonly Float32Array[], like: readonly Float32Array[]): Float32Array[] =>
  arrays.map((values, i) => values.subarray(0, like[i].length));

/** Updates that the first row has had. */
const updatesOf = (optimizer: Optimizer): number => {
  const { rows, rest } = optimizer.state().counts;
  return rows[0] ?? rest;
};

const valuesOf = async (optimizer: Optimizer): Promise<Map<string, unknown>> => {
  const read = async ([name, array]: [string, StateArray]) => [name, await array.read()] as const;
  return new Map(await Promise.all([...optimizer.state().arrays].map(read)));
};

describe('an optimizer that starts with the state of another run', () => {
  it.each(OPTIMIZER_NAMES)(
    'of %s takes the next step of that run, bit for bit, at each rank',
    async (name) => {
      const nested = await nestedRun(name);
      for (const rank of [64, 128]) {
        const whole = adaptedOf(RANKS);
        await whole.load(await nested.adapted.state());
        using wholeOptimizer = optimizerOf(name, whole);
        wholeOptimizer.prepare(whole.model.backend);
        startOptimizer(wholeOptimizer, nested.checkpoint);
        expect(wholeOptimizer.state().counts).toEqual(nested.optimizer.state().counts);
        expect(await valuesOf(wholeOptimizer)).toEqual(await valuesOf(nested.optimizer));

        const slice = await sliceOf(nested.adapted, rank);
        using sliceOptimizer = optimizerOf(name, slice);
        sliceOptimizer.prepare(slice.model.backend);
        startOptimizer(sliceOptimizer, nested.checkpoint);
        await step(whole, rank, wholeOptimizer, 9);
        await step(slice, rank, sliceOptimizer, 9);
        const weights = numbersOf(slice.parameters());
        expect(weights).toEqual(prefixes(numbersOf(whole.parameters()), weights));
        // and it is the state that decides
        const fresh = await sliceOf(nested.adapted, rank);
        using freshOptimizer = optimizerOf(name, fresh);
        await step(fresh, rank, freshOptimizer, 9);
        if (sliceOptimizer.state().arrays.size > 0)
          expect(numbersOf(fresh.parameters())).not.toEqual(weights);
      }
    },
  );

  it.each(OPTIMIZER_NAMES.filter((name) => name.endsWith('8bit')))(
    'of %s decodes the rows that are too few for codes',
    async (name) => {
      const nested = await nestedRun(name);
      const slice = await sliceOf(nested.adapted, 1);
      using optimizer = optimizerOf(name, slice);
      optimizer.prepare(slice.model.backend);
      startOptimizer(optimizer, nested.checkpoint);
      await step(nested.adapted, 1, nested.optimizer, 9);
      await step(slice, 1, optimizer, 9);
      const weights = numbersOf(slice.parameters());
      // the nested run rounds the new moments to codes before it uses them no later than in the next step
      const expected = prefixes(numbersOf(nested.adapted.parameters()), weights);
      weights.forEach((values, p) =>
        values.forEach((value, i) => {
          expect(value).toBeCloseTo(expected[p][i], 6);
        }),
      );
    },
  );

  it('is an option of a new run, and none of one that resumes', async () => {
    const { checkpoint } = await nestedRun('adamw_32bit');
    const folder = temporaryFolder();
    const options = (totalSteps: number, optimizerState: string | null) =>
      tinyOptions({
        hidden: HIDDEN,
        adapter: { ranks: RANKS },
        totalSteps,
        optimizerState,
        save: { folder, every: null },
        resume: 'latest',
      });
    const first = options(1, checkpoint);
    await train(first).result;
    expect(updatesOf(first.optimizer)).toBe(4);
    const resumed = options(2, checkpoint);
    await train(resumed).result;
    expect(updatesOf(resumed.optimizer)).toBe(5);
  });

  it('says why a state does not fit, and changes nothing', async () => {
    const { checkpoint, adapted } = await nestedRun('adamw_32bit');
    const failure = async (options: Parameters<typeof tinyOptions>[0]): Promise<QdyloraError> =>
      failureOf(train(tinyOptions({ optimizerState: checkpoint, ...options })));
    const wide = { hidden: HIDDEN, adapter: { ranks: RANKS } };
    expect(await failure({ ...wide, optimizerName: 'sgd' })).toMatchObject({
      code: 'BAD_RESUME',
      where: 'optimizer_state',
      message: expect.stringMatching(/has the state of adamw_32bit, not of sgd/) as string,
    });
    expect((await failure({ hidden: 6, adapter: { ranks: RANKS } })).message).toMatch(
      /it has no blocks\.0\.linear.* of \[128, 6\], or more rows/,
    );
    expect((await failure({ hidden: HIDDEN, adapter: { ranks: [256] } })).message).toMatch(
      /it has no .* of \[256, 64\], or more rows/,
    );
    const empty = join(temporaryFolder(), 'step-1');
    mkdirSync(empty);
    expect((await failure({ ...wide, optimizerState: empty })).message).toMatch(
      /step-1: it is not a whole checkpoint/,
    );
    using optimizer = optimizerOf('sgd', adapted);
    optimizer.prepare(adapted.model.backend);
    expect(() => startOptimizer(optimizer, checkpoint)).toThrow(/not of sgd/);
    expect(optimizer.state().counts).toEqual({ rows: [], rest: 0 });
  });
});
