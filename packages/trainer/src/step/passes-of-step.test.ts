import { collate } from '@qdylora/data';
import { rankSampler, type RankSchedule } from '@qdylora/lora-dynamic';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { tinyAdapted, tinyExamples, tinyModel } from '../../test/tiny-model.ts';
import { passesOfStep, type Pass } from '../index.ts';

const adapted = tinyAdapted();
const batchOf = (examples: number) => collate(tinyExamples(examples));
const sampler = (schedule: RankSchedule, segments?: number) =>
  rankSampler(adapted.ranks, { seed: 1, schedule, segments });
/** A step whose drawn rank is `rank`. */
const stepOf = (rank: number) =>
  Array.from({ length: 100 }, (_, step) => step).find((step) => sampler('one').rankAt(step) === rank)!;
/** Ranks of a pass with how many examples each has, in order. */
const partsOf = ({
  view: { active },
  batch: { segments },
}: Pass): (readonly [rank: number, examples: number])[] =>
  (active!.parts ?? [{ until: segments.at(-1)!, rank: active!.rank }]).map(
    ({ until, rank }, i, parts) =>
      [rank, segments.indexOf(until) - (i === 0 ? 0 : segments.indexOf(parts[i - 1].until))] as const,
  );
const shape = (schedule: RankSchedule, step: number, sizes: readonly number[]) =>
  passesOfStep(step, sizes.map(batchOf), { model: adapted, sampler: sampler(schedule) }).passes.flatMap(
    partsOf,
  );

describe('passes of a step', () => {
  it('one: every micro batch at the drawn rank', () => {
    expect(shape('one', stepOf(2), [3, 3, 1])).toEqual([
      [2, 3],
      [2, 3],
      [2, 1],
    ]);
  });
  it('sandwich: micro batches take turns between the largest and the drawn rank', () => {
    expect(shape('sandwich', stepOf(1), [2, 2, 2])).toEqual([
      [4, 2],
      [1, 2],
      [4, 2],
    ]);
  });
  it('sandwich with one micro batch: its halves, in one pass', () => {
    expect(
      passesOfStep(stepOf(1), [batchOf(5)], { model: adapted, sampler: sampler('sandwich') }).passes.map(
        partsOf,
      ),
    ).toEqual([
      [
        [4, 2],
        [1, 3],
      ],
    ]);
  });
  it('sandwich with one micro batch that is not cut: largest and drawn rank take turns by step', () => {
    const rankOf = (step: number): number[] =>
      passesOfStep(step, [batchOf(3)], { model: adapted, sampler: sampler('sandwich', 1) }).passes.map(
        ({ view }) => view.active!.rank,
      );
    for (let step = 0; step < 20; step++)
      expect(rankOf(step)).toEqual([step % 2 === 0 ? 4 : sampler('one').rankAt(step)]);
  });
  it('stratified with one example, which cannot be cut: its parts take turns by step', () => {
    const parts = 3;
    const rankOf = (step: number): number =>
      passesOfStep(step, [batchOf(1)], { model: adapted, sampler: sampler('stratified', parts) }).passes[0]
        .view.active!.rank;
    for (let step = 0; step < 20; step++)
      expect(rankOf(step)).toBe(sampler('stratified', parts).ranksOfPart(step, step % parts, parts)[0]);
  });
  it(
    'sandwich with one example, which cannot be cut: largest and drawn rank take turns over the steps, ' +
      'and the plan says which',
    () => {
      for (let step = 0; step < 20; step++) {
        const { passes, rank } = passesOfStep(step, [batchOf(1)], {
          model: adapted,
          sampler: sampler('sandwich'),
        });
        const want = step % 2 === 0 ? 4 : sampler('one').rankAt(step);
        expect([
          passes.map(({ view, batch }) => [view.active!.rank, batch.segments.length - 1]),
          rank,
        ]).toEqual([[[want, 1]], want]);
      }
    },
  );
  it('names all ranks of the step, the largest first', () => {
    const ranksOf = (schedule: RankSchedule, step: number) =>
      passesOfStep(step, [batchOf(4)], { model: adapted, sampler: sampler(schedule) }).ranks;
    expect(ranksOf('sandwich', stepOf(2))).toEqual([4, 2]);
    expect(ranksOf('sandwich', stepOf(4))).toEqual([4]);
    expect(ranksOf('one', stepOf(1))).toEqual([1]);
    expect(ranksOf('all', 0)).toEqual([4, 2, 1]);
    expect(passesOfStep(0, [batchOf(2)], { model: tinyModel(), sampler: null }).ranks).toEqual([]);
  });
  it('all: every micro batch at every rank', () => {
    expect(shape('all', 0, [2, 1])).toEqual([
      [1, 2],
      [2, 2],
      [4, 2],
      [1, 1],
      [2, 1],
      [4, 1],
    ]);
  });
  it('stratified with one micro batch: two halves', () => {
    expect(shape('stratified', 0, [4]).map(([, size]) => size)).toEqual([2, 2]);
  });

  it('without a sampler trains the largest rank, as ordinary LoRA', () => {
    const { passes, rank, rows } = passesOfStep(7, [batchOf(2)], { model: adapted, sampler: null });
    expect([passes.map(({ view }) => view.active!.rank), rank, rows]).toEqual([[4], 4, [[0, 4]]]);
  });

  it('of a wide step train the largest rank, with its weight', () => {
    const weighted = rankSampler(adapted.ranks, { seed: 1, schedule: 'sandwich', lossWeights: [3, 1, 0.5] });
    const batches = [batchOf(2), batchOf(3)];
    const plan = passesOfStep(stepOf(1), batches, { model: adapted, sampler: weighted }, { isWide: true });
    expect(plan.passes.map(({ view, weight }) => [view.active!.rank, weight])).toEqual([
      [4, 0.5],
      [4, 0.5],
    ]);
    expect([plan.rank, plan.ranks, plan.rows]).toEqual([4, [4], [[0, 4]]]);
  });

  it('of a bare model have no rank', () => {
    const { passes, rank, rows } = passesOfStep(0, [batchOf(2)], { model: tinyModel(), sampler: null });
    expect([passes[0].view.active, rank, rows]).toEqual([null, null, null]);
  });

  it('names the rows of all ranks that the step saw under newest_block', () => {
    const frozen = tinyAdapted({ updateRule: 'newest_block' });
    expect(
      passesOfStep(stepOf(1), [batchOf(2)], { model: frozen, sampler: sampler('sandwich') }).rows,
    ).toEqual([
      [0, 1],
      [2, 4],
    ]);
  });

  it(
    'see every example once, in its order, for any sizes and any segments; all: once at each rank, and so ' +
      'at the cost of as many steps',
    () => {
      fc.assert(
        fc.property(
          fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 4 }),
          fc.option(fc.integer({ min: 1, max: 5 }), { nil: undefined }),
          fc.constantFrom<RankSchedule>('one', 'each', 'stratified', 'sandwich', 'all'),
          fc.nat(500),
          (sizes, segments, schedule, step) => {
            const batches = sizes.map(batchOf);
            const { passes } = passesOfStep(step, batches, {
              model: adapted,
              sampler: sampler(schedule, segments),
            });
            const times = schedule === 'all' ? adapted.ranks.ranks.length : 1;
            const ids = (all: readonly { ids: Int32Array }[]): number[] =>
              all.flatMap((part) => [...part.ids]);
            if (times === 1) expect(ids(passes.map(({ batch }) => batch))).toEqual(ids(batches));
            expect(passes.reduce((sum, { batch }) => sum + batch.ids.length, 0)).toBe(
              times * ids(batches).length,
            );
            expect(passes.reduce((sum, { batch }) => sum + batch.predictedTokens, 0)).toBe(
              times * batches.reduce((sum, batch) => sum + batch.predictedTokens, 0),
            );
          },
        ),
      );
    },
  );

  it(
    'cut each micro batch into the asked segments, or into its examples where there are fewer, and take ' +
      'it through the model once',
    () => {
      const step = Array.from({ length: 100 }, (_, i) => i).find(
        (i) =>
          passesOfStep(i, [4, 3, 1].map(batchOf), {
            model: adapted,
            sampler: sampler('each', 3),
          }).passes.flatMap(partsOf).length === 7,
      )!;
      expect(
        passesOfStep(step, [4, 3, 1].map(batchOf), {
          model: adapted,
          sampler: sampler('each', 3),
        }).passes.map((pass) => partsOf(pass).map(([, examples]) => examples)),
      ).toEqual([[1, 1, 2], [1, 1, 1], [1]]);
    },
  );

  it('carry the weight of their rank', () => {
    const { passes } = passesOfStep(stepOf(1), [batchOf(2)], {
      model: adapted,
      sampler: rankSampler(adapted.ranks, { seed: 1, schedule: 'sandwich', lossWeights: [3, 1, 0.5] }),
    });
    expect(
      passes.map(({ view, weight }) => [view.active!.parts!.map((part) => [part.rank, part.weight]), weight]),
    ).toEqual([
      [
        [
          [4, 0.5],
          [1, 3],
        ],
        undefined,
      ],
    ]);
    const apart = passesOfStep(stepOf(1), [batchOf(2), batchOf(2)], {
      model: adapted,
      sampler: rankSampler(adapted.ranks, { seed: 1, schedule: 'sandwich', lossWeights: [3, 1, 0.5] }),
    }).passes;
    expect(apart.map(({ view, weight }) => [view.active!.rank, view.active!.parts, weight])).toEqual([
      [4, undefined, 0.5],
      [1, undefined, 3],
    ]);
  });
});
