import { rankSet } from '@qdylora/lora-dynamic';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { tinyAdapted, tinyExamples } from '../../test/tiny-model.ts';
import {
  adapterBytes,
  aurac,
  holmBonferroni,
  lossOver,
  pairedTTest,
  perplexity,
  rankReport,
  rankReportJson,
  sweepRanks,
  type EvalTask,
  type EvalView,
  type ExampleLosses,
} from '../index.ts';

describe('sweepRanks', () => {
  it('tells its task only what belongs to measuring, and reads an iterator of ranks once', async () => {
    const adapted = tinyAdapted();
    const task = perplexity(tinyExamples(4));
    let options: unknown;
    const spied: EvalTask = {
      ...task,
      measure: (views, measureOptions) => {
        options = measureOptions;
        return task.measure(views, measureOptions);
      },
    };
    const ranks = [1, 2].values();
    await sweepRanks((rank) => adapted.atRank(rank), ranks, spied, {
      base: null,
      alpha: 0.1,
      computeDtype: 'f32',
    });
    expect(options).toEqual({ computeDtype: 'f32' });
  });

  it('finds for each rank, and for the base, what judging it alone finds, bit for bit', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 2, max: 12 }),
        fc.nat(1000),
        fc.integer({ min: 4, max: 40 }),
        fc.uniqueArray(fc.integer({ min: 1, max: 4 }), { minLength: 1 }),
        async (count, seed, tokensPerBatch, ranks) => {
          const adapted = tinyAdapted();
          const examples = [
            ...tinyExamples(count, seed),
            { ids: Int32Array.of(1, 2), labels: Int32Array.of(1, 2) },
          ];
          const report = await sweepRanks(
            (rank) => adapted.atRank(rank),
            ranks,
            perplexity(examples, { tokensPerBatch }),
          );
          expect(report.ranks.map(({ rank }) => rank)).toEqual([...ranks].sort((a, b) => a - b));
          for (const row of report.ranks) {
            const alone = await lossOver(adapted.atRank(row.rank), examples);
            expect([row.loss, row.perplexity, row.standardError]).toEqual([
              alone.loss,
              alone.perplexity,
              alone.standardError,
            ]);
          }
          const base = await lossOver(adapted.base(), examples);
          expect(report.base).toEqual({
            loss: base.loss,
            perplexity: base.perplexity,
            standardError: base.standardError,
          });
          expect([report.tokens, report.examples]).toEqual([
            base.tokens,
            base.perExample.counts.filter((n) => n > 0).length,
          ]);
        },
      ),
      { numRuns: 20 },
    );
  });

  it('walks over the data once: batch by batch, every rank in turn', async () => {
    const adapted = tinyAdapted();
    const seen: string[] = [];
    const spied = (view: EvalView): EvalView => ({
      ...view,
      model: {
        ...view.model,
        loss: (ctx, batch, options) => {
          seen.push(`${batch.ids.length}:${ctx.active?.rank ?? 'base'}`);
          return view.model.loss(ctx, batch, options);
        },
      },
    });
    await sweepRanks(
      (rank) => spied(adapted.atRank(rank)),
      [1, 4],
      perplexity(
        [
          { ids: Int32Array.of(1, 2, 3), labels: Int32Array.of(1, 2, 3) },
          { ids: Int32Array.of(4, 5), labels: Int32Array.of(4, 5) },
        ],
        { tokensPerBatch: 3 },
      ),
    );
    expect(seen).toEqual(['3:1', '3:4', '3:base', '2:1', '2:4', '2:base']);
  });

  it('leaves the base out where it is told to', async () => {
    const adapted = tinyAdapted();
    const report = await sweepRanks(
      (rank) => adapted.atRank(rank),
      rankSet([1, 2]),
      perplexity(tinyExamples(6)),
      { base: null },
    );
    expect([report.base, report.aurac, report.auracLinear, report.ranks[0].versusBase]).toEqual([
      null,
      null,
      null,
      null,
    ]);
  });

  it('knows the bytes of an adapter cut at each rank', async () => {
    const adapted = tinyAdapted();
    const { ranks } = await sweepRanks(
      (rank) => adapted.atRank(rank),
      adapted.ranks,
      perplexity(tinyExamples(6)),
    );
    expect(ranks.map((row) => row.adapterBytes)).toEqual([1, 2, 4].map((rank) => 4 * rank * (5 + 5)));
    expect(adapterBytes({}, 4)).toBeNull();
  });

  it('refuses a sweep without ranks, and a rank that the adapter has not', async () => {
    const adapted = tinyAdapted();
    const task = perplexity(tinyExamples(6));
    await expect(sweepRanks((rank) => adapted.atRank(rank), [], task)).rejects.toThrow(/at least one rank/);
    await expect(sweepRanks((rank) => adapted.atRank(rank), [8], task)).rejects.toThrow(/within 1…4/);
  });
});

describe('a task that returns plain arrays', () => {
  it('is refused by a message that asks for typed ones', async () => {
    const adapted = tinyAdapted();
    const task = {
      name: 'mine',
      measure: (views: readonly unknown[]) =>
        Promise.resolve(views.map(() => ({ sums: [1], counts: [1] }) as unknown as ExampleLosses)),
    };
    await expect(sweepRanks((rank) => adapted.atRank(rank), adapted.ranks, task)).rejects.toThrow(
      /where sums and counts are typed arrays \(got/,
    );
  });
});

describe('the report', () => {
  const report = () => {
    const counts = new Float64Array(6).fill(2);
    const at = (shift: number, wiggle: number) => ({
      counts,
      sums: Float64Array.from({ length: 6 }, (_, i) => 2 * (i + shift) + wiggle * (i % 2)),
    });
    return rankReport({
      task: 'test',
      measured: [
        { rank: 4, losses: at(1, 0.1) },
        { rank: 1, losses: at(2, 0) },
        { rank: 2, losses: at(1, 0.11) },
      ],
      base: at(4, 0),
      adapterBytes: (rank) => rank * 100,
    });
  };

  it('says what the losses say', () => {
    const { ranks, bestRank, smallestGoodRank, confidenceSet, aurac: area, auracLinear, base } = report();
    const gains = ranks.map(({ loss }) => base!.loss - loss);
    expect(ranks.map(({ rank, notWorse, adapterBytes: bytes }) => [rank, notWorse, bytes])).toEqual([
      [1, false, 100],
      [2, true, 200],
      [4, true, 400],
    ]);
    expect([bestRank, smallestGoodRank, confidenceSet]).toEqual([4, 2, [2, 4]]);
    expect([area, auracLinear]).toEqual([aurac([1, 2, 4], gains, 'log2'), aurac([1, 2, 4], gains, 'linear')]);
    ranks.forEach(({ versusBase }, i) => {
      expect(versusBase!.mean).toBeCloseTo(-gains[i], 12);
    });
  });

  it('adjusts the comparisons with the base for their number', () => {
    const counts = new Float64Array(4).fill(1);
    const of = (...sums: number[]) => ({ sums: Float64Array.from(sums), counts });
    const base = of(0, 0, 0, 0);
    const measured = [of(1, 2, 3, 4), of(1, -1, 2, 0.5), of(4, 4, 5, 4)];
    const { ranks } = rankReport({
      task: 't',
      measured: measured.map((losses, i) => ({ rank: i + 1, losses })),
      base,
    });
    expect(ranks.map(({ versusBase }) => versusBase!.pValue)).toEqual(
      holmBonferroni(measured.map((losses) => pairedTTest(losses, base).pValue)),
    );
  });

  it('as JSON has snake_case names all the way down, and null for what is no number', () => {
    const json = JSON.parse(JSON.stringify(rankReportJson(report()))) as Record<string, any>;
    expect(Object.keys(json)).toEqual([
      'task',
      'examples',
      'tokens',
      'alpha',
      'base',
      'ranks',
      'best_rank',
      'smallest_good_rank',
      'confidence_set',
      'aurac',
      'aurac_linear',
      'detectable_difference',
    ]);
    expect(Object.keys(json.ranks[0])).toEqual([
      'rank',
      'loss',
      'standard_error',
      'perplexity',
      'versus_base',
      'versus_best',
      'adapter_bytes',
      'not_worse',
    ]);
    expect(Object.keys(json.ranks[0].versus_best)).toEqual(['mean', 'standard_error', 'p_value']);
    const single = { counts: Float64Array.of(1), sums: Float64Array.of(2) };
    expect(
      (
        rankReportJson(
          rankReport({ task: 't', measured: [{ rank: 1, losses: single }], base: single }),
        ) as any
      ).ranks[0].standard_error,
    ).toBeNull();
  });

  it('keeps a rank that has diverged, as not good', () => {
    const counts = new Float64Array(3).fill(1);
    const good = { counts, sums: Float64Array.of(1, 2, 3.5) };
    const { ranks, bestRank, detectableDifference } = rankReport({
      task: 't',
      measured: [
        { rank: 1, losses: good },
        { rank: 2, losses: { counts, sums: Float64Array.of(NaN, 1, 1) } },
      ],
      base: null,
    });
    expect([bestRank, ranks[1].loss, ranks[1].notWorse, detectableDifference]).toEqual([1, NaN, false, null]);
  });
});
