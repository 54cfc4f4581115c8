import type { RankRecommendation, ScoreReport } from '@qdylora/eval';
import { expect, it } from 'vitest';
import { allTasksSentence, canCompareRanks, scoreVerdict, tasksHeadline } from './read-tasks.ts';

/** Two ranks that nothing tells apart. */
const reportOf = (documents: number): ScoreReport =>
  ({
    task: 'gsm8k',
    documents,
    ranks: [{ rank: 1 }, { rank: 8 }],
    bestRank: 8,
    smallestGoodRank: 1,
    confidenceSet: [1, 8],
  }) as unknown as ScoreReport;

it.each([
  [1, false, 'One document cannot tell ranks apart', 'unknown'],
  [2, true, 'Rank 1 is enough for gsm8k', 'smallest-good'],
])('%d documents can tell ranks apart: %s', (documents, isTold, headline, verdict) => {
  const report = reportOf(documents);
  const recommendation: RankRecommendation = { byTask: [report], rankForAll: 1 };
  expect(canCompareRanks(recommendation)).toBe(isTold);
  expect(allTasksSentence({ ...recommendation, byTask: [report, report] }) !== '').toBe(isTold);
  expect(tasksHeadline(recommendation)).toBe(headline);
  expect(scoreVerdict({ rank: 1, notWorse: true }, report)).toBe(verdict);
});
