/** Units that are compared: words, pairs of words, or the longest common subsequence. */
export type RougeName = 'rouge1' | 'rouge2' | 'rougeL';

export const ROUGE_NAMES: readonly RougeName[] = ['rouge1', 'rouge2', 'rougeL'];

/**
 * F1 of common units: ROUGE of one prediction (Lin 2004), as `rouge_score` 0.1.2 computes it without
 * stemming.
 *
 * rouge1 and rouge2: words and pairs of words that both texts have. rougeL: the longest common subsequence of
 * words. Words are runs of a–z and 0–9 after lower-casing.
 *
 * @example
 * rouge('rouge1', 'the cat', 'the dog'); // 0.5
 */
export function rouge(name: RougeName, reference: string, prediction: string): number {
  const target = wordsOf(reference);
  const words = wordsOf(prediction);
  if (name === 'rougeL') return f1(commonSubsequence(target, words), target.length, words.length);
  const order = name === 'rouge1' ? 1 : 2;
  const targetCounts = countNgrams(target, order);
  const counts = countNgrams(words, order);
  let common = 0;
  for (const [ngram, count] of targetCounts) common += Math.min(count, counts.get(ngram) ?? 0);
  return f1(common, totalOf(targetCounts), totalOf(counts));
}

const wordsOf = (text: string): string[] =>
  text
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, ' ')
    .split(' ')
    .filter((word) => word !== '');

const totalOf = (counts: ReadonlyMap<string, number>): number =>
  [...counts.values()].reduce((sum, count) => sum + count, 0);

function countNgrams(words: readonly string[], order: number): Map<string, number> {
  const counts = new Map<string, number>();
  for (let i = 0; i + order <= words.length; i++) {
    const ngram = words.slice(i, i + order).join(' ');
    counts.set(ngram, (counts.get(ngram) ?? 0) + 1);
  }
  return counts;
}

/** 2 · precision · recall / (precision + recall) */
function f1(common: number, targetTotal: number, total: number): number {
  const precision = common / Math.max(total, 1);
  const recall = common / Math.max(targetTotal, 1);
  return precision + recall > 0 ? (2 * precision * recall) / (precision + recall) : 0;
}

/** Length of the longest common subsequence, row by row. */
function commonSubsequence(a: readonly string[], b: readonly string[]): number {
  let row = new Array<number>(b.length + 1).fill(0);
  for (const word of a) {
    const next = [0];
    b.forEach((other, j) => next.push(word === other ? row[j] + 1 : Math.max(row[j + 1], next[j])));
    row = next;
  }
  return row[b.length];
}
