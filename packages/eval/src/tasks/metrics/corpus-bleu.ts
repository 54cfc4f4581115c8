import { PYTHON_SPACE, stripped } from '@qdylora/data';

/** Longest n-grams that count. */
const MAX_ORDER = 4;

/** sacrebleu's `my_log(0)`: its exponential is 0. */
const LOG_OF_ZERO = -9_999_999_999;

export interface BleuOptions {
  /** Precision of an order without a match: each one halves once more (`exponential`), or the score is 0. */
  readonly smoothing: 'exponential' | 'none';
}

export interface BleuScore {
  /** From 0 to 100. */
  readonly score: number;
  /** Matching n-grams by order, and all of the predictions: [4] */
  readonly matches: readonly number[];
  readonly totals: readonly number[];
  readonly predictionLength: number;
  readonly referenceLength: number;
}

/**
 * BLEU of a corpus (Papineni et al. 2002), as sacrebleu 2.6 computes it by default: tokens of mteval-13a,
 * cased, n-grams up to 4, the closest reference length, exponential smoothing.
 *
 *     score = 100 · min(1, exp(1 − referenceLength / predictionLength)) · exp(mean of log precisions)
 *
 * @param references those of each prediction
 */
export function corpusBleu(
  predictions: readonly string[],
  references: readonly (readonly string[])[],
  { smoothing }: BleuOptions,
): BleuScore {
  const matches = new Array<number>(MAX_ORDER).fill(0);
  const totals = new Array<number>(MAX_ORDER).fill(0);
  let predictionLength = 0;
  let referenceLength = 0;
  predictions.forEach((prediction, i) => {
    const words = tokenize13a(prediction);
    const referenceWords = references[i].map(tokenize13a);
    predictionLength += words.length;
    referenceLength += closest(
      referenceWords.map(({ length }) => length),
      words.length,
    );
    const most = mostOf(referenceWords.map(countNgrams));
    for (const [ngram, count] of countNgrams(words)) {
      const order = ngram.split(' ').length - 1;
      totals[order] += count;
      matches[order] += Math.min(count, most.get(ngram) ?? 0);
    }
  });
  const score = scoreOf({ matches, totals, predictionLength, referenceLength }, smoothing);
  return { score, matches, totals, predictionLength, referenceLength };
}

function scoreOf(
  { matches, totals, predictionLength, referenceLength }: Omit<BleuScore, 'score'>,
  smoothing: BleuOptions['smoothing'],
): number {
  if (matches.every((count) => count === 0)) return 0;
  const brevity = predictionLength < referenceLength ? Math.exp(1 - referenceLength / predictionLength) : 1;
  const precisions = new Array<number>(MAX_ORDER).fill(0);
  let divisor = 1;
  for (let order = 0; order < MAX_ORDER && totals[order] > 0; order++) {
    if (matches[order] === 0 && smoothing === 'none') continue;
    if (matches[order] === 0) divisor *= 2;
    precisions[order] =
      matches[order] === 0 ? 100 / (divisor * totals[order]) : (100 * matches[order]) / totals[order];
  }
  const logs = precisions.map((precision) => (precision === 0 ? LOG_OF_ZERO : Math.log(precision)));
  return brevity * Math.exp(logs.reduce((sum, log) => sum + log, 0) / MAX_ORDER);
}

/** The length closest to `length`; of two the shorter. */
const closest = (lengths: readonly number[], length: number): number =>
  lengths.reduce((best, each) => {
    const [distance, bestDistance] = [Math.abs(each - length), Math.abs(best - length)];
    return distance < bestDistance || (distance === bestDistance && each < best) ? each : best;
  });

/** n-grams of 1 to 4 words, joined by spaces, with their counts. */
function countNgrams(words: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (let order = 1; order <= MAX_ORDER; order++)
    for (let i = 0; i + order <= words.length; i++) {
      const ngram = words.slice(i, i + order).join(' ');
      counts.set(ngram, (counts.get(ngram) ?? 0) + 1);
    }
  return counts;
}

/** The most that each n-gram occurs in any reference. */
function mostOf(references: readonly ReadonlyMap<string, number>[]): ReadonlyMap<string, number> {
  const most = new Map<string, number>();
  for (const counts of references)
    for (const [ngram, count] of counts) most.set(ngram, Math.max(count, most.get(ngram) ?? 0));
  return most;
}

const ENTITIES: readonly (readonly [RegExp, string])[] = [
  [/&quot;/g, '"'],
  [/&amp;/g, '&'],
  [/&lt;/g, '<'],
  [/&gt;/g, '>'],
];

/** Punctuation apart from words, but no point or comma inside of a number: mteval-v13a. */
const SEPARATIONS: readonly (readonly [RegExp, string])[] = [
  [/([{-~[-` -&(-+:-@/])/g, ' $1 '],
  [/([^0-9])([.,])/g, '$1 $2 '],
  [/([.,])([^0-9])/g, ' $1 $2'],
  [/([0-9])(-)/g, '$1 $2 '],
];

/** The words of a text after mteval-v13a. */
export function tokenize13a(text: string): string[] {
  let line = stripped(text, 'rstrip').replaceAll('<skipped>', '').replaceAll('-\n', '').replaceAll('\n', ' ');
  if (line.includes('&')) line = replaceAll(line, ENTITIES);
  return replaceAll(` ${line} `, SEPARATIONS).split(WHITE_SPACE).filter(Boolean);
}

const replaceAll = (text: string, pairs: readonly (readonly [RegExp, string])[]): string =>
  pairs.reduce((changed, [pattern, replacement]) => changed.replace(pattern, replacement), text);

/** Runs of white space, as in Python's `str.split`. */
const WHITE_SPACE = new RegExp(`[${PYTHON_SPACE}]+`);
