import { itemsOf, numberOf } from '@qdylora/data';
import type { DocumentScores } from '../../ranks/score-report.ts';
import type { MetricItem } from '../metrics/aggregate.ts';

/** How a metric is compared document by document. */
export interface DocumentScale {
  readonly scoresOf: (items: readonly MetricItem[]) => DocumentScores;
  /** The metric from the mean of these scores. */
  readonly aggregate: (mean: number) => number;
}

const single = (item: MetricItem): readonly [score: number, count: number] => [numberOf(item)!, 1];
/** A loss from log p of a document. */
const negated = (item: MetricItem): readonly [score: number, count: number] => [-numberOf(item)!, 1];
/** A loss from log p of a document and the words or bytes that it is divided by. */
const negatedPair = (item: MetricItem): readonly [score: number, count: number] => {
  const [logLikelihood, length] = itemsOf(item)!;
  return [-numberOf(logLikelihood)!, numberOf(length)!];
};

const scale = (
  scoreOf: (item: MetricItem) => readonly [score: number, count: number],
  aggregate: (mean: number) => number,
): DocumentScale => ({
  scoresOf: (items) => {
    const scores = items.map(scoreOf);
    return {
      sums: Float64Array.from(scores, ([score]) => score),
      counts: Float64Array.from(scores, ([, count]) => count),
    };
  },
  aggregate,
});

/**
 * Aggregations that are a function of a mean over documents. BLEU and the median are not: they have no score
 * of a single document.
 */
export const DOCUMENT_SCALES: ReadonlyMap<string, DocumentScale> = new Map([
  ['mean', scale(single, (mean) => mean)],
  ['perplexity', scale(negated, Math.exp)],
  ['weighted_perplexity', scale(negatedPair, Math.exp)],
  ['bits_per_byte', scale(negatedPair, (mean) => mean / Math.LN2)],
]);
