import { hostData, f32View } from '@qdylora/contract';
import { collate, splitIntoMicroBatches } from '@qdylora/data';
import { rankSampler, type RankScaling, type RankSchedule, type UpdateRule } from '@qdylora/lora-dynamic';
import { inferenceContext } from '@qdylora/tensor';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { numbersOf, tinyAdapted, tinyBatch, tinyExamples } from '../../test/tiny-model.ts';
import {
  accumulateGradients,
  adamw,
  clearGradients,
  passesOfStep,
  runStep,
  sgd,
  splitBatch,
  trainStep,
  type Pass,
  type PassOptions,
} from '../index.ts';

const gradientsOf = (adapted: ReturnType<typeof tinyAdapted>): Float32Array[] =>
  adapted.parameters().map(({ gradient }) => Float32Array.from(hostData(gradient!)));

/** Gradients of the passes, each loss scaled by `lossScale`. */
async function gradientsAfter(
  adapted: ReturnType<typeof tinyAdapted>,
  passes: readonly Pass[],
  lossScale: number,
  options: PassOptions = {},
): Promise<Float32Array[]> {
  adapted.parameters().forEach((parameter) => {
    parameter.makeTrainable(adapted.model.backend.memory);
  });
  clearGradients(adapted.model, adapted.parameters());
  await accumulateGradients(passes, lossScale, f32View([passes.length]), options);
  return gradientsOf(adapted);
}

describe('accumulation', () => {
  it('over any micro batches adds up to the gradient of the one big batch', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 8 }),
        fc.integer({ min: 1, max: 4 }),
        fc.nat(1000),
        fc.constantFrom(1, 2, 4),
        async (count, size, seed, rank) => {
          const adapted = tinyAdapted();
          const view = adapted.atRank(rank);
          const examples = tinyExamples(count, seed);
          const whole = collate(examples);
          const scale = 1 / whole.predictedTokens;
          const parts = splitIntoMicroBatches(examples, size);
          const big = await gradientsAfter(adapted, [{ view, batch: whole }], scale);
          const together = await gradientsAfter(
            adapted,
            parts.map((batch) => ({ view, batch })),
            scale,
          );
          const apart: Float32Array[][] = [];
          for (const batch of parts) apart.push(await gradientsAfter(adapted, [{ view, batch }], scale));
          together.forEach((gradient, p) =>
            gradient.forEach((value, i) => {
              // Tokens are the same bits in either batch; what differs is one float32 rounding per micro
              // batch of a partial sum, and the big batch's own.
              const bound =
                (parts.length + 1) * 2 ** -24 * apart.reduce((sum, each) => sum + Math.abs(each[p][i]), 0);
              expect(Math.abs(value - big[p][i])).toBeLessThanOrEqual(bound);
            }),
          );
        },
      ),
      { numRuns: 15 },
    );
  });

  it('reports the token mean, however the tokens are spread over micro batches', async () => {
    const examples = tinyExamples(7);
    const losses = [];
    for (const size of [1, 3, 7]) {
      const adapted = tinyAdapted();
      losses.push(
        (
          await trainStep(
            adapted.atRank(2),
            splitIntoMicroBatches(examples, size),
            adamw(adapted.parameters(), { learningRate: 0 }),
          )
        ).loss,
      );
    }
    for (const loss of losses) expect(Math.abs(loss - losses[0])).toBeLessThan(7 * 2 ** -23 * losses[0]);
  });
});

describe('ranks of segments and weights of ranks', () => {
  it(
    'add up: a step whose parts see different ranks has the sum of the gradients of each part alone, ' +
      'times its weight',
    async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.integer({ min: 2, max: 7 }),
          fc.integer({ min: 1, max: 4 }),
          fc.nat(1000),
          fc.constantFrom<RankSchedule>('each', 'stratified', 'sandwich', 'all'),
          fc.array(fc.constantFrom(0.25, 1, 2, 3), { minLength: 3, maxLength: 3 }),
          async (count, segments, step, schedule, lossWeights) => {
            const adapted = tinyAdapted();
            const batch = collate(tinyExamples(count, step));
            const scale = 1 / batch.predictedTokens;
            const { passes } = passesOfStep(step, [batch], {
              model: adapted,
              sampler: rankSampler(adapted.ranks, { seed: 1, schedule, segments, lossWeights }),
            });
            const apart: Float32Array[][] = [];
            const together = await gradientsAfter(adapted, passes, scale);
            const weightOf = (rank: number): number => lossWeights[adapted.ranks.ranks.indexOf(rank)];
            const alone = passes.flatMap(({ view, batch: whole }): Pass[] => {
              const parts = view.active!.parts;
              return parts
                ? splitBatch(whole, parts.length).map((part, i) => ({
                    view: adapted.atRank(parts[i].rank),
                    batch: part,
                  }))
                : [{ view, batch: whole }];
            });
            for (const pass of alone)
              apart.push(await gradientsAfter(adapted, [pass], scale * weightOf(pass.view.active!.rank)));
            const largest = Math.max(
              ...apart.flatMap((each) => each.flatMap((gradient) => [...gradient].map(Math.abs))),
            );
            together.forEach((gradient, p) =>
              gradient.forEach((value, i) => {
                expect(
                  Math.abs(value - apart.reduce((sum, each) => sum + each[p][i], 0)),
                ).toBeLessThanOrEqual(1e-5 * largest);
              }),
            );
            if (schedule !== 'all') expect(passes.length).toBe(1);
          },
        ),
        { numRuns: 20 },
      );
    },
  );

  it(
    'in one pass give each token the loss that it has at its rank alone, and the sum of the gradients ' +
      'times their weights, also when blocks run again',
    async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.integer({ min: 2, max: 6 }),
          fc.nat(1000),
          fc.array(fc.constantFrom(1, 2, 4), { minLength: 2, maxLength: 3 }),
          fc.constantFrom<UpdateRule>('prefix', 'newest_block'),
          fc.constantFrom<RankScaling>('paper', 'sqrt', 'uniform', 'constant'),
          fc.array(fc.constantFrom(undefined, 0.25, 1, 3), { minLength: 3, maxLength: 3 }),
          fc.boolean(),
          async (count, seed, ranks, updateRule, lora, weights, recompute) => {
            const adapted = tinyAdapted({ updateRule, scaling: lora });
            const batch = collate(tinyExamples(count, seed));
            const parts = splitBatch(batch, Math.min(count, ranks.length));
            const scale = 1 / batch.predictedTokens;
            let until = 0;
            const view = adapted.atRanks(
              parts.map(({ ids }, i) => ({
                until: (until += ids.length),
                rank: ranks[i],
                weight: weights[i],
              })),
            );
            const separate = parts.map((part, i) => ({ view: adapted.atRank(ranks[i]), batch: part }));
            const apart: Float32Array[][] = [];
            const tokenLosses = (pass: Pass): number[] => [
              ...hostData(
                pass.view.model.loss(
                  { ...inferenceContext(pass.view.model.backend), active: pass.view.active },
                  pass.batch,
                  { lossScale: 1 },
                ).tokenLosses,
              ),
            ];
            const alone = separate.flatMap(tokenLosses);
            tokenLosses({ view, batch }).forEach((loss, t) => {
              expect(Math.abs(loss - alone[t])).toBeLessThanOrEqual(1e-5 * (1 + alone[t]));
            });
            const together = await gradientsAfter(adapted, [{ view, batch }], scale, { recompute });
            for (const [i, pass] of separate.entries())
              apart.push(await gradientsAfter(adapted, [pass], scale * (weights[i] ?? 1)));
            const largest = Math.max(
              ...apart.flatMap((each) => each.flatMap((gradient) => [...gradient].map(Math.abs))),
            );
            together.forEach((gradient, p) =>
              gradient.forEach((value, i) => {
                const terms = apart.map((each) => each[p][i]); // rows that no part trains have 0 exactly
                if (terms.every((term) => term === 0)) expect(value).toBe(0);
                else
                  expect(Math.abs(value - terms.reduce((sum, term) => sum + term, 0))).toBeLessThanOrEqual(
                    1e-5 * largest,
                  );
              }),
            );
          },
        ),
        { numRuns: 30 },
      );
    },
  );

  it('in one pass that has more or fewer tokens than the parts are refused', async () => {
    const adapted = tinyAdapted();
    const batch = tinyBatch(3, 1);
    const view = adapted.atRanks([
      { until: 2, rank: 1 },
      { until: batch.ids.length + 1, rank: 4 },
    ]);
    await expect(trainStep(view, batch, adamw(adapted.parameters(), { learningRate: 0 }))).rejects.toThrow(
      new RegExp(
        `the ends of the parts must increase to ${batch.ids.length} tokens, and their ranks be within 0…4 ` +
          `\\(got 0…1 up to token 2, 0…4 up to token ${batch.ids.length + 1}\\)`,
      ),
    );
  });

  it('in one pass move no row that none of its ranks trains', async () => {
    const adapted = tinyAdapted({ updateRule: 'newest_block' });
    const batch = tinyBatch(4, 1);
    const until = batch.segments[2];
    const optimizer = adamw(adapted.parameters(), { learningRate: 0.1, weightDecay: 0.1 });
    const before = numbersOf(adapted.parameters());
    await trainStep(
      adapted.atRanks([
        { until, rank: 1 },
        { until: batch.ids.length, rank: 4 },
      ]),
      batch,
      optimizer,
    );
    numbersOf(adapted.parameters()).forEach((values, p) => {
      const width = values.length / 4;
      const moved = (row: number): boolean =>
        values
          .subarray(row * width, (row + 1) * width)
          .some((value, i) => value !== before[p][row * width + i]);
      expect([0, 1, 2, 3].map(moved)).toEqual([true, false, true, true]);
    });
  });

  it('of 1 change no bit, and leave the reported loss the plain mean whatever they are', async () => {
    const run = async (lossWeights: number[] | null) => {
      const adapted = tinyAdapted();
      const { passes } = passesOfStep(3, [tinyBatch(4, 1)], {
        model: adapted,
        sampler: rankSampler(adapted.ranks, { seed: 1, schedule: 'all', lossWeights }),
      });
      return {
        ...(await runStep(passes, sgd(adapted.parameters(), { learningRate: 0.1 }), { maxGradNorm: null })),
        numbers: numbersOf(adapted.parameters()),
      };
    };
    const plain = await run(null);
    const ones = await run([1, 1, 1]);
    const doubled = await run([2, 2, 2]);
    expect(ones).toEqual(plain);
    // powers of two round nothing
    expect([doubled.loss, doubled.gradNorm]).toEqual([plain.loss, 2 * plain.gradNorm]);
    expect((await run([3, 1, 0.3])).loss).toBeCloseTo(plain.loss, 6);
  });
});
