import { createRng } from '@qdylora/contract';
import { describe, expect, it } from 'vitest';
import { raceRanks, RACE_SHARE, scoreReport, type DocumentScores, type RaceResult } from '../index.ts';

const DOCUMENTS = 400;

/** Right and wrong answers: documents that are hard are hard at every rank. */
function drawn(shifts: readonly number[], seed: number, spread = 0.6): Map<number, number[]> {
  const rng = createRng(seed);
  const hard = rng.named('hard');
  return new Map(
    shifts.map((shift, r) => {
      const noise = rng.named(`rank ${r}`);
      const right = (i: number): number => (hard.normal(i) + spread * noise.normal(i) < shift ? 1 : 0);
      return [2 ** r, Array.from({ length: DOCUMENTS }, (_, i) => right(i))];
    }),
  );
}

const scores = (values: readonly number[]): DocumentScores => ({
  sums: Float64Array.from(values),
  counts: new Float64Array(values.length).fill(1),
});

interface Raced extends RaceResult {
  /** Answers of all ranks, the survivors' over all documents. */
  readonly answers: number;
  readonly confidenceSet: readonly number[];
}

/** A race, and the comparison of the survivors on all documents. */
async function race(table: Map<number, number[]>, indifference: number | null = null): Promise<Raced> {
  let answers = 0;
  const measure = (ranks: readonly number[], from: number, to: number) => {
    answers += ranks.length * (to - from);
    return Promise.resolve(ranks.map((rank) => scores(table.get(rank)!.slice(from, to))));
  };
  const result = await raceRanks([...table.keys()], DOCUMENTS, measure, {
    higherIsBetter: true,
    indifference,
  });
  const { confidenceSet } = scoreReport({
    task: 'quiz',
    metric: 'acc',
    filter: 'none',
    higherIsBetter: true,
    alpha: 0.05 * (1 - RACE_SHARE),
    measured: result.survivors.map((rank) => ({ rank, scores: scores(table.get(rank)!) })),
    base: null,
  });
  answers += result.survivors.length * (DOCUMENTS - result.documents);
  return { ...result, answers, confidenceSet };
}

describe('a race of ranks', () => {
  it.each([
    ['all alike', [0, 0, 0, 0, 0, 0, 0]],
    ['one barely better', [0.04, 0, 0, 0, 0]],
    ['two alike, others worse', [0, 0, -0.5, -1]],
  ])('and the comparison after it lose the best rank at most 5 times in 100: %s', async (_, shifts) => {
    const trials = 300;
    let lost = 0;
    for (let seed = 0; seed < trials; seed++)
      if (!(await race(drawn(shifts, seed))).confidenceSet.includes(1)) lost++;
    expect(lost / trials).toBeLessThanOrEqual(0.05 + 2 * Math.sqrt((0.05 * 0.95) / trials));
  });

  it('drops ranks that are far off early, and saves their answers', async () => {
    const { survivors, dropped, answers } = await race(drawn([-2, -1.5, 0, 0.02], 3));
    expect(survivors).toEqual([4, 8]);
    expect(dropped.map(({ rank, documents, reason }) => [rank, documents, reason])).toEqual([
      [1, 50, 'worse'],
      [2, 50, 'worse'],
    ]);
    expect(answers).toBe(2 * DOCUMENTS + 2 * 50);
    expect(dropped.every(({ mean }) => mean < 0)).toBe(true);
  });

  it('ends with the smallest rank as soon as no difference matters', async () => {
    const { survivors, dropped, documents } = await race(drawn([0, 0, 0], 5, 0.05), 0.06);
    expect(survivors).toEqual([1]);
    expect(documents).toBeLessThan(DOCUMENTS);
    expect(new Set(dropped.map(({ reason }) => reason))).toEqual(new Set(['indifferent']));
  });

  it('does not end where a difference may be more than the indifference', async () => {
    // rank 2 is right on 6.5 % more, and never wrong where rank 1 is right
    const right = (rank: number, i: number): number => (i % 16 > 0 || rank === 2 ? 1 : 0);
    const table = new Map(
      [1, 2].map((rank) => [rank, Array.from({ length: DOCUMENTS }, (_, i) => right(rank, i))]),
    );
    const { dropped } = await race(table, 0.06);
    expect(dropped.map(({ rank, reason }) => [rank, reason])).toEqual([[1, 'worse']]);
  });

  it('chooses a rank within the indifference of the best, at least 95 times in 100', async () => {
    const trials = 200;
    let bad = 0;
    for (let seed = 0; seed < trials; seed++) {
      const table = drawn([0, 0, 0.1, 0.1], seed, 0.2);
      const { confidenceSet, survivors, dropped } = await race(table, 0.06);
      const isShort = dropped.some(({ reason }) => reason === 'indifferent');
      const rate = (rank: number): number =>
        table.get(rank)!.reduce((sum, score) => sum + score, 0) / DOCUMENTS;
      if (isShort && rate(4) - rate(survivors[0]) > 0.06) bad++;
      if (!isShort && confidenceSet.every((rank) => rank < 4)) bad++;
    }
    expect(bad / trials).toBeLessThanOrEqual(0.05 + 2 * Math.sqrt((0.05 * 0.95) / trials));
  });

  it('of one rank, or of few documents, is no race', async () => {
    const never = (): Promise<never> => Promise.reject(new Error('measured'));
    const options = { higherIsBetter: true };
    expect(await raceRanks([8], 1000, never, options)).toMatchObject({ survivors: [8], documents: 0 });
    expect(await raceRanks([8, 4], 30, never, options)).toMatchObject({ survivors: [4, 8], looks: [] });
  });
});
