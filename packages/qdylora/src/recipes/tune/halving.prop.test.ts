import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { halveCandidates, type SearchResult } from './halve-candidates.ts';
import { leastBudget, planHalving, stepsOf } from './plan-halving.ts';
import { candidateAt, rateGrid } from './rate-grid.ts';

const grids = fc.record({
  rates: fc.integer({ min: 2, max: 12 }),
  ratio: fc.constantFrom(1.5, 2, 4),
  alpha: fc.boolean(),
  learningRate: fc.constantFrom(2e-4, 3e-3),
  loraAlpha: fc.constantFrom(8, 16),
});
const losses = fc.oneof(fc.double({ min: 0, max: 20, noNaN: true }), fc.constantFrom(NaN, Infinity));
const budgets = fc.integer({ min: 0, max: 2000 });

interface Search {
  readonly result: SearchResult;
  /** Steps that the trials took. */
  readonly taken: number;
  readonly mostHeld: number;
  readonly held: number;
}

/** Searches a grid with a made-up loss of (rate, step); Infinity is a divergence after one step. */
async function search(
  options: Parameters<typeof rateGrid>[0],
  budget: number,
  lossOf: (rate: number, alpha: number, step: number) => number,
): Promise<Search | null> {
  const grid = rateGrid(options);
  const plan = planHalving(grid.length, budget);
  if (!plan) return null;
  let taken = 0;
  let held = 0;
  let mostHeld = 0;
  const result = await halveCandidates(grid, {
    plan,
    budget,
    startLoss: 10,
    neighbour: ({ exponent, loraAlpha }, direction) => candidateAt(options, exponent + direction, loraAlpha),
    open: ({ learningRate, loraAlpha }) => {
      let done = 0;
      mostHeld = Math.max(mostHeld, ++held);
      return Promise.resolve({
        trainTo: (step) => {
          const loss = lossOf(learningRate, loraAlpha, step);
          const end = Number.isFinite(loss) ? step : done + 1;
          taken += end - done;
          done = end;
          return Promise.resolve({ steps: done, loss });
        },
        dispose: () => {
          held--;
        },
      });
    },
  });
  return { result, taken, mostHeld, held };
}

/** Lowest at one rate, the same order after any number of steps. */
const valley =
  (bottom: number) =>
  (rate: number, _: number, step: number): number =>
    Math.abs(Math.log2(rate / bottom)) / 10 + 1 / step;

describe('successive halving', () => {
  it('plans rounds within the budget, in which twice the steps go to half of the candidates', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 64 }), budgets, (candidates, budget) => {
        const plan = planHalving(candidates, budget);
        expect(plan === null).toBe(budget < leastBudget(candidates));
        if (!plan) return;
        expect(plan.steps).toBe(stepsOf(plan.rounds));
        // one further candidate of the last round fits too
        expect(plan.steps + plan.rounds.at(-1)!.untilStep).toBeLessThanOrEqual(budget);
        for (const [k, round] of plan.rounds.slice(1).entries()) {
          expect(round.untilStep).toBe(2 * plan.rounds[k].untilStep);
          expect(round.candidates).toBe(Math.ceil(plan.rounds[k].candidates / 2));
        }
      }),
    );
  });

  it('never takes more steps than its budget, for any grid, budget and losses', async () => {
    await fc.assert(
      fc.asyncProperty(grids, budgets, fc.infiniteStream(losses), async (grid, budget, stream) => {
        const found = await search(grid, budget, () => stream.next().value as number);
        if (!found) return;
        expect(found.taken).toBeLessThanOrEqual(budget);
        expect(found.result.spentSteps).toBe(found.taken);
        expect(found.held).toBe(0);
      }),
    );
  });

  it('finds the best rate of the grid, and holds only those that may still go on', async () => {
    await fc.assert(
      fc.asyncProperty(grids, fc.nat(), async (options, pick) => {
        const grid = rateGrid({ ...options, alpha: false });
        const { learningRate } = grid[pick % grid.length];
        const found = (await search({ ...options, alpha: false }, 500, valley(learningRate)))!;
        expect(found.result.best!.learningRate).toBe(learningRate);
        expect(found.mostHeld).toBeLessThanOrEqual(Math.ceil(grid.length / 2) + 1);
      }),
    );
  });

  it('extends the grid beyond an edge that is best, and keeps within the budget', async () => {
    const options = { rates: 6, ratio: 2, alpha: false, learningRate: 1e-3, loraAlpha: 8 };
    const up = (await search(options, 150, valley(16e-3)))!;
    expect(up.result.best!.learningRate).toBe(16e-3);
    expect(up.result.extensions.map(({ learningRate }) => learningRate)).toEqual([16e-3, 32e-3]);
    const down = (await search(options, 150, valley(1.25e-4)))!;
    expect(down.result.best!.learningRate).toBe(1.25e-4);
  });

  it('ends a candidate that diverges at once, and goes below a grid that diverged as a whole', async () => {
    const options = { rates: 6, ratio: 2, alpha: false, learningRate: 1e-3, loraAlpha: 8 };
    const some = (await search(options, 150, (rate, _, step) =>
      rate > 2e-3 ? Infinity : valley(2e-3)(rate, _, step),
    ))!;
    expect(some.result.best!.learningRate).toBe(2e-3);
    expect(some.result.tried.filter(({ hasDiverged }) => hasDiverged).map(({ steps }) => steps)).toEqual([
      1, 1,
    ]);
    const aboveStart = (rate: number, alpha: number, step: number): number =>
      rate > 2e-4 ? 11 : valley(1.25e-4)(rate, alpha, step);
    const all = (await search(options, 150, aboveStart))!;
    expect(all.result.best!.learningRate).toBe(1.25e-4);
    expect((await search(options, 150, () => NaN))!.result.best).toBeNull();
  });
});

it('every trial is freed where one of them throws, whenever that is', async () => {
  const plan = planHalving(4, 40)!;
  const grid = rateGrid({ rates: 4, ratio: 2, alpha: false, learningRate: 1e-3, loraAlpha: 8 });
  const searchUntil = async (calls: number): Promise<{ hasFailed: boolean; held: number }> => {
    let left = calls;
    let held = 0;
    const trainTo = (steps: number): Promise<{ steps: number; loss: number }> =>
      left-- > 0 ? Promise.resolve({ steps, loss: 1 / steps }) : Promise.reject(new Error('no memory'));
    const hasFailed = await halveCandidates(grid, {
      plan,
      budget: 40,
      startLoss: 10,
      neighbour: (candidate) => candidate,
      open: () => {
        held++;
        return Promise.resolve({ trainTo, dispose: () => void held-- });
      },
    }).then(
      () => false,
      () => true,
    );
    return { hasFailed, held };
  };
  for (let calls = 0; calls < 6; calls++)
    expect(await searchUntil(calls)).toEqual({ hasFailed: true, held: 0 });
  expect(await searchUntil(6)).toEqual({ hasFailed: false, held: 0 });
});

it('a grid of six rates of ratio 2 is ¼, ½, 1, 2, 4 and 8 times the rate of the run', () => {
  const grid = rateGrid({ rates: 6, ratio: 2, alpha: false, learningRate: 2e-4, loraAlpha: 8 });
  expect(grid.map(({ learningRate }) => learningRate)).toEqual([5e-5, 1e-4, 2e-4, 4e-4, 8e-4, 1.6e-3]);
});
