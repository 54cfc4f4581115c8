import { createHostBackend, createRng, hostData, QdyloraError } from '@qdylora/contract';
import { mixRows, rankSampler, sliceRank } from '@qdylora/lora-dynamic';
import { signedDynamicMap, unsignedDynamicMap } from '@qdylora/quant';
import { temporaryFolder } from '@qdylora/testing/node';
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { parameterOf, tinyAdapted } from '../../test/tiny-model.ts';
import { eventsOf, eventsOfType, tinyOptions, tinyTrain } from '../../test/tiny-run.ts';
import { createOptimizer, OPTIMIZER_NAMES, train, type Optimizer, type StateArray } from '../index.ts';
import { mixStates } from './mix-states.ts';
import { sortAdapterRows } from './sort-adapter-rows.ts';

const ROWS = 4;
/** Wide enough for 8-bit states, which begin at 4,096 elements. */
const WIDTH = 1100;

/** A matrix with one entry in each row and column: then also means of squares change exactly. */
const anyScaledPermutation = fc
  .tuple(
    fc.shuffledSubarray([0, 1, 2, 3], { minLength: ROWS }),
    fc.array(fc.constantFrom(-2, 0.5, 1, 3), { minLength: ROWS, maxLength: ROWS }),
  )
  .map(([order, factors]) => {
    const mix = new Float64Array(ROWS * ROWS);
    order.forEach((column, row) => {
      mix[row * ROWS + column] = factors[row];
    });
    return mix;
  });

function optimizerAfterSteps(name: string, mix: Float64Array | null): Optimizer {
  const rng = createRng(3);
  const weight = parameterOf('w', [ROWS, WIDTH], new Float32Array(ROWS * WIDTH));
  const optimizer = createOptimizer(name, [weight], {
    learningRate: 0,
    momentum: 0.9,
    paging: { budgetBytes: 8 * WIDTH * 2, folder: temporaryFolder() },
  });
  optimizer.prepare(createHostBackend());
  for (let step = 0; step < 3; step++) {
    const gradient = Float32Array.from({ length: ROWS * WIDTH }, (_, i) => rng.named(`${step}`).normal(i));
    hostData(weight.gradient!).set(mix ? mixRows(mix, gradient) : gradient);
    optimizer.step({ learningRate: 0, gradientScale: 1, rows: null });
  }
  return optimizer;
}

/** The numbers of each state, decoded. */
function numbersOf(optimizer: Optimizer): Map<string, Float32Array> {
  const { arrays } = optimizer.state();
  const numbers = new Map<string, Float32Array>();
  for (const [name, array] of arrays) {
    if (name.endsWith('_absmax')) continue;
    const values = array.peek()!;
    const absmax = (arrays.get(`${name}_absmax`) as StateArray<'f32'> | undefined)?.peek();
    const map = name.endsWith('.v') ? unsignedDynamicMap() : signedDynamicMap();
    const blocks = Math.ceil(WIDTH / 256);
    numbers.set(
      name,
      Float32Array.from(values, (value, i) =>
        absmax ? map[value] * absmax[Math.floor(i / WIDTH) * blocks + Math.floor((i % WIDTH) / 256)] : value,
      ),
    );
  }
  return numbers;
}

describe('the states of an optimizer', () => {
  it.each(OPTIMIZER_NAMES)('of %s are mixed as if the gradients had been mixed', async (name) => {
    await fc.assert(
      fc.asyncProperty(anyScaledPermutation, async (mix) => {
        using optimizer = optimizerAfterSteps(name, null);
        await mixStates(optimizer, 'w', mix);
        using expected = optimizerAfterSteps(name, mix);
        const expectedNumbers = numbersOf(expected);
        for (const [state, values] of numbersOf(optimizer)) {
          const want = expectedNumbers.get(state)!;
          const most = want.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);
          // the coarsest step between neighbouring 8-bit levels, relative to the largest number of a block
          const bound = name.endsWith('8bit') ? most * 0.02 : most * 1e-6;
          values.forEach((value, i) => {
            if (Math.abs(value - want[i]) > bound)
              expect.fail(`${state}[${i}] is ${value}, not ${want[i]} (bound ${bound})`);
          });
        }
      }),
      { numRuns: 8 },
    );
  });

  it('have no second moment of 0 where it was more, however small it is in its block', async () => {
    const weight = parameterOf('w', [ROWS, WIDTH], new Float32Array(ROWS * WIDTH));
    using optimizer = createOptimizer('adamw_8bit', [weight], { learningRate: 0 });
    optimizer.prepare(createHostBackend());
    const gradient = hostData(weight.gradient!).fill(1).fill(0, 0, WIDTH);
    gradient[0] = 1e6;
    optimizer.step({ learningRate: 0, gradientScale: 1, rows: null });
    const mix = Float64Array.from({ length: ROWS * ROWS }, (_, i) => (i % (ROWS + 1) === 0 ? 1 : 0));
    mix[ROWS] = 1; // the second row gets the large number of the first one beside its own
    await mixStates(optimizer, 'w', mix);
    const codes = optimizer.state().arrays.get('w.v')!.peek()!;
    expect(codes.subarray(WIDTH, 2 * WIDTH).every((code) => code > 0)).toBe(true);
  });

  it('of rows with different numbers of updates are refused, and stay as they were', async () => {
    const adapted = tinyAdapted();
    using optimizer = createOptimizer('adamw_32bit', adapted.parameters(), { learningRate: 0.1 });
    optimizer.prepare(adapted.model.backend);
    optimizer.step({ learningRate: 0.1, gradientScale: 1, rows: [[0, 1]] });
    const before = await adapted.state();
    const failure: unknown = await sortAdapterRows(adapted, optimizer).catch((error: unknown) => error);
    expect(QdyloraError.isInstance(failure) && failure.code).toBe('UNSUPPORTED');
    expect(await adapted.state()).toEqual(before);
  });
});

describe('a run that sorts rows', () => {
  const wide = { wideSteps: 2, totalSteps: 2, adapter: { dropout: 0 } };

  it('computes the same product at the largest rank with and without the sort', async () => {
    const unsorted = tinyOptions({ ...wide, wideSteps: 3 });
    const sorted = tinyOptions(wide);
    await eventsOf(train(unsorted));
    await eventsOf(train(sorted));
    const before = await unsorted.adapted.state();
    const after = await sorted.adapted.state();
    expect(sliceRank(after, after.maxRank).layers[0].a).not.toEqual(
      sliceRank(before, before.maxRank).layers[0].a,
    );
    before.layers.forEach((layer, index) => {
      const other = after.layers[index];
      for (let o = 0; o < layer.outFeatures; o++)
        for (let i = 0; i < layer.inFeatures; i++) {
          const product = ({ a, b }: typeof layer): number => {
            let sum = 0;
            for (let k = 0; k < before.maxRank; k++)
              sum += b[k * layer.outFeatures + o] * a[k * layer.inFeatures + i];
            return sum;
          };
          expect(product(other)).toBeCloseTo(product(layer), 6);
        }
    });
  });

  it('weighs the loss of its largest rank in wide steps too', async () => {
    const gradNormAt = async (weight: number): Promise<number> => {
      const { adapted, ...options } = tinyOptions({ ...wide, totalSteps: 1 });
      const sampler = rankSampler(adapted.ranks, { seed: 1, lossWeights: [1, 1, weight] });
      return eventsOfType(await eventsOf(train({ ...options, sampler })), 'step')[0].gradNorm;
    };
    expect((await gradNormAt(8)) / (await gradNormAt(1))).toBeCloseTo(8, 6);
  });

  it('is refused without adapters, or with a number of steps that is not whole', () => {
    for (const wideSteps of [-1, 1.5]) expect(() => tinyTrain({ wideSteps })).toThrow(/wideSteps/);
    const { adapted, ...options } = tinyOptions();
    expect(() => train({ ...options, model: adapted.model, sampler: null, wideSteps: 1 })).toThrow(
      /no adapters whose rows/,
    );
  });

  it('is refused before the first step where its steps would not train all rows', () => {
    expect(() => tinyTrain({ ...wide, adapter: { dropout: 0, updateRule: 'newest_block' } })).toThrow(
      /the update rule is newest_block/,
    );
    expect(() => tinyTrain({ ...wide, maxRanks: [1] })).toThrow(/no worker trains rank/);
  });

  it('trains the largest rank alone before it', async () => {
    const events = await eventsOf(tinyTrain({ ...wide, totalSteps: 4 }));
    const ranks = events.flatMap((event) => (event.type === 'step' ? [event.ranks] : []));
    const { maxRank } = tinyAdapted().ranks;
    expect(ranks.slice(0, 2)).toEqual([[maxRank], [maxRank]]);
    expect(ranks[3]).toContain(maxRank);
  });

  it('does not count evaluations before it for early stopping', async () => {
    const rising = { every: 1, run: ({ step }: { step: number }) => Promise.resolve(lossAt(step)) };
    const lossAt = (step: number) => ({ byRank: [{ rank: 1, loss: step }] });
    const earlyStopping = { on: 1, patience: 1 };
    const stopOf = async (wideSteps: number) => {
      const options = { ...wide, wideSteps, totalSteps: 8, evaluate: rising, earlyStopping };
      const { step, stoppedBy } = await tinyTrain(options).result;
      return [step, stoppedBy];
    };
    expect(await stopOf(0)).toEqual([2, 'early_stopping']);
    expect(await stopOf(4)).toEqual([5, 'early_stopping']); // step 4 is evaluated after the sort
  });

  it('tells the optimizer that the steps before it are wide', async () => {
    const options = tinyOptions({ ...wide, totalSteps: 4 });
    const step = vi.spyOn(options.optimizer, 'step');
    await eventsOf(train(options));
    expect(step.mock.calls.map(([{ isWide }]) => isWide)).toEqual([true, true, false, false]);
  });
});
