import { createHostBackend, createRng, hostData, QdyloraError } from '@qdylora/contract';
import { sliceState, type Adapted } from '@qdylora/lora-dynamic';
import { Parameter } from '@qdylora/tensor';
import { temporaryFolder } from '@qdylora/testing/node';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parameterOf, tinyAdapted, tinyBatch, type TinyModel } from '../../test/tiny-model.ts';
import {
  adamw,
  adapterRowRates,
  createOptimizer,
  OPTIMIZER_NAMES,
  trainStep,
  type AdapterRates,
  type RowRates,
} from '../index.ts';

const ROWS = 6;
/** Wide enough for 8-bit states, which begin at 4,096 elements. */
const WIDTH = 768;
const STEPS = 3;

/** The weights after some steps of random gradients, of which the first `wideSteps` are wide. */
function trained(
  name: string,
  rateAt: number | ((step: number) => number),
  { rowRates, wideSteps = 0 }: { readonly rowRates?: RowRates; readonly wideSteps?: number } = {},
): Float32Array {
  const rng = createRng(3);
  const random = (key: string): Float32Array =>
    Float32Array.from({ length: ROWS * WIDTH }, (_, i) => rng.named(key).normal(i));
  const weight = parameterOf('w', [ROWS, WIDTH], random('weight'));
  const optimizer = createOptimizer(name, [weight], {
    learningRate: 1,
    weightDecay: 0.1,
    momentum: 0.9,
    rowRates,
    paging: { budgetBytes: 8 * WIDTH * 2, folder: temporaryFolder() },
  });
  optimizer.prepare(createHostBackend());
  for (let step = 0; step < STEPS; step++) {
    hostData(weight.gradient!).set(random(`gradient ${step}`));
    const learningRate = typeof rateAt === 'number' ? rateAt : rateAt(step);
    optimizer.step({ learningRate, gradientScale: 0.5, rows: null, isWide: step < wideSteps });
  }
  const values = Float32Array.from(hostData(weight.view) as Float32Array);
  optimizer.dispose();
  return values;
}

const rowOf = (values: Float32Array, row: number): number[] => [
  ...values.subarray(row * WIDTH, (row + 1) * WIDTH),
];

describe('row rates', () => {
  it.each(OPTIMIZER_NAMES)('of %s train each row as an optimizer at that learning rate does', (name) => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom(0.25, 1, 3), { minLength: 1, maxLength: ROWS }),
        fc.nat(ROWS - 1),
        (factors, row) => {
          const rates = factors.map((factor, i) => ({
            until: i === factors.length - 1 ? Infinity : i + 1,
            factor,
          }));
          const values = trained(name, 0.01, { rowRates: () => rates });
          const factor = factors[Math.min(row, factors.length - 1)];
          expect(rowOf(values, row)).toEqual(rowOf(trained(name, 0.01 * factor), row));
        },
      ),
      { numRuns: 12 },
    );
  });

  it.each(OPTIMIZER_NAMES)('of %s that are others at wide steps hold at these alone', (name) => {
    const factors = fc.constantFrom(0.25, 1, 3);
    fc.assert(
      fc.property(
        fc.array(fc.tuple(factors, factors), { minLength: ROWS, maxLength: ROWS }),
        fc.nat(ROWS - 1),
        fc.integer({ min: 0, max: STEPS }),
        (pairs, row, wideSteps) => {
          const rates = pairs.map(([factor, wideFactor], i) => ({ until: i + 1, factor, wideFactor }));
          const values = trained(name, 0.01, { rowRates: () => rates, wideSteps });
          const [factor, wideFactor] = pairs[row];
          const alone = trained(name, (step) => 0.01 * (step < wideSteps ? wideFactor : factor));
          expect(rowOf(values, row)).toEqual(rowOf(alone, row));
        },
      ),
      { numRuns: 12 },
    );
  });

  it.each([
    ['do not reach the last row', [{ until: ROWS - 1, factor: 1 }]],
    [
      'do not rise',
      [
        { until: 4, factor: 1 },
        { until: 4, factor: 2 },
        { until: ROWS, factor: 1 },
      ],
    ],
    ['have a factor of 0', [{ until: ROWS, factor: 0 }]],
    ['have a factor of 0 at wide steps', [{ until: ROWS, factor: 1, wideFactor: 0 }]],
    ['are none', []],
  ])('that %s are refused', (_, rates) => {
    const weight = parameterOf('w', [ROWS, 2], new Float32Array(ROWS * 2));
    expect(() => adamw([weight], { learningRate: 1, rowRates: () => rates })).toThrow(QdyloraError);
    expect(() => adamw([weight], { learningRate: 1, rowRates: () => rates })).toThrow(/row rates of w/);
  });
});

/** Trains an adapter at one of its ranks for a few steps, whose gradients are clipped. */
async function takeSteps(adapted: Adapted<TinyModel>, rank: number, rates: AdapterRates): Promise<void> {
  const rowRates = adapterRowRates(adapted, rates);
  const optimizer = adamw(adapted.parameters(), { learningRate: 0.01, weightDecay: 0.1, rowRates });
  for (let step = 0; step < STEPS; step++)
    await trainStep(adapted.atRank(rank), [tinyBatch(4, step)], optimizer, {
      learningRate: 0.01,
      maxGradNorm: 0.1,
    });
  optimizer.dispose();
}

describe('the row rates of an adapter', () => {
  const adapted = tinyAdapted();
  const [layer] = adapted.layers;

  it('give A the learning rate itself, and B the ratio of LoRA+ at every row', () => {
    const rates = adapterRowRates(adapted, { bRatio: 16 });
    expect(rates(layer.a)).toEqual([{ until: Infinity, factor: 1 }]);
    expect(rates(layer.b)).toEqual([1, 2, 4].map((until) => ({ until, factor: 16 })));
  });

  it('give the rows of B that rank b adds 1/√b, 1.5/b^0.77, or the factor of their rank', () => {
    expect(adapterRowRates(adapted, { rankRates: 'inverse_sqrt' })(layer.b)).toEqual([
      { until: 1, factor: 1 },
      { until: 2, factor: 1 / Math.SQRT2 },
      { until: 4, factor: 0.5 },
    ]);
    expect(
      adapterRowRates(adapted, { rankRates: 'steep' })(layer.b).map(({ factor }) => factor.toFixed(3)),
    ).toEqual(['1.500', '0.880', '0.516']);
    expect(
      adapterRowRates(adapted, { bRatio: 2, rankRates: [1, 3, 5] })(layer.b).map(({ factor }) => factor),
    ).toEqual([2, 6, 10]);
  });

  it('give all rows of B at wide steps the factor of a run of the largest rank alone', () => {
    const wideFactors = (rates: AdapterRates): (number | undefined)[] =>
      adapterRowRates(adapted, { ...rates, wideRates: 'dedicated' })(layer.b).map(
        ({ wideFactor }) => wideFactor,
      );
    expect(wideFactors({ rankRates: 'steep' })).toEqual([0.5, 0.5, 0.5]);
    expect(wideFactors({ rankRates: [3, 2, 1], bRatio: 4 })).toEqual([2, 2, 2]);
    expect(wideFactors({ rankRates: 'uniform', bRatio: 4 })).toEqual([4, 4, 4]);
    expect(adapterRowRates(adapted, { wideRates: 'dedicated' })(layer.a)).toEqual([
      { until: Infinity, factor: 1 },
    ]);
  });

  it.each(['uniform', 'inverse_sqrt', 'steep', [1.5, 0.7, 0.2]] as const)(
    '%s train a slice alone as its nested run trains it at steps of that rank',
    async (rankRates) => {
      for (const rank of [1, 2, 3, 4]) {
        const nested = tinyAdapted({ scaling: 'uniform' });
        const slice = tinyAdapted({ scaling: 'uniform', ranks: [rank] });
        await slice.load({ ...sliceState(await nested.state(), rank), ranks: [rank] });
        await takeSteps(nested, rank, { rankRates });
        await takeSteps(slice, rank, { rankRates, rateRanks: nested.ranks.ranks });
        const { layers } = sliceState(await nested.state(), rank);
        expect((await slice.state()).layers).toEqual(layers);
      }
    },
  );

  it('are refused where their ranks do not reach the last row', () => {
    expect(() => adapterRowRates(adapted, { rateRanks: [1, 2] })).toThrow(
      /largest rank is 2, but the adapter has the rank 4/,
    );
    expect(() => adapterRowRates(adapted, { rateRanks: [1, 8], rankRates: [1, 2, 3] })).toThrow(
      /each of the ranks 1, 8/,
    );
  });

  it('leave other parameters as they are', () => {
    const other = new Parameter('other', layer.a.view);
    expect(adapterRowRates(adapted, { bRatio: 16 })(other)).toEqual([{ until: Infinity, factor: 1 }]);
  });

  it('are refused where there is not one factor above 0 for each rank', () => {
    for (const rankRates of [
      [1, 2],
      [1, 2, 0],
      [1, 2, NaN],
    ])
      expect(() => adapterRowRates(adapted, { rankRates })).toThrow(/each of the ranks 1, 2, 4/);
    expect(() => adapterRowRates(adapted, { bRatio: 0 })).toThrow(/greater than 0/);
    expect(() => adapterRowRates(adapted, { wideRates: 'flat' as never })).toThrow(/dedicated, nested/);
  });
});
