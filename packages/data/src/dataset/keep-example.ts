import { countPredicted, type Example } from '../token-batch.ts';

/** A tokenized row before it is cut. */
export interface LabelledRow {
  readonly ids: ArrayLike<number>;
  readonly labels: ArrayLike<number>;
  readonly source?: Example['source'];
}

/** Reasons for dropping rows, as reports print them. */
export const DROP_REASONS = {
  tooShort: 'fewer than two tokens, so none has a token before it',
  cutOff: 'cut by max_seq_length before the first counted token',
  masked: 'every label is masked',
} as const;

/** `36 × cut by max_seq_length before the first counted token` */
export const reasonsText = (reasons: RowCounts['reasons']): string =>
  Object.entries(reasons)
    .map(([reason, count]) => `${count} × ${reason}`)
    .join('; ');

/** Counts of kept, cut and dropped rows. */
export interface RowCounts {
  rows: number;
  /** Tokens of the kept examples. */
  tokens: number;
  /** Those of `tokens` that the loss counts. */
  predictedTokens: number;
  /** Rows cut to `maxSeqLength`. */
  truncated: number;
  /** Cut rows that lost counted tokens. */
  truncatedAnswers: number;
  /** Counted tokens that those rows lost together. */
  lostTokens: number;
  /** Rows without a token to predict. */
  dropped: number;
  /** The dropped rows by reason, in words. */
  readonly reasons: Record<string, number>;
}

/** Counts of no rows: all 0. */
export const noRowsYet = (): RowCounts => ({
  rows: 0,
  tokens: 0,
  predictedTokens: 0,
  truncated: 0,
  truncatedAnswers: 0,
  lostTokens: 0,
  dropped: 0,
  reasons: {},
});

/** Cuts a row to `maxSeqLength` and counts it; null if no token to predict is left. */
export function keepExample(row: LabelledRow, maxSeqLength: number, counts: RowCounts): Example | null {
  const isCut = row.ids.length > maxSeqLength;
  const example = cutTo(row, maxSeqLength);
  const predicted = countPredicted(example.labels);
  const lost = isCut ? countPredicted(Int32Array.from(row.labels)) - predicted : 0;
  counts.rows++;
  if (isCut) counts.truncated++;
  if (lost > 0) counts.truncatedAnswers++;
  counts.lostTokens += lost;
  if (predicted > 0) {
    counts.tokens += example.ids.length;
    counts.predictedTokens += predicted;
    return example;
  }
  const reason =
    example.ids.length < 2 ? DROP_REASONS.tooShort : lost > 0 ? DROP_REASONS.cutOff : DROP_REASONS.masked;
  counts.dropped++;
  counts.reasons[reason] = (counts.reasons[reason] ?? 0) + 1;
  return null;
}

function cutTo(row: LabelledRow, length: number): Example {
  const ids = Int32Array.from(row.ids).subarray(0, length);
  const example = {
    ids: ids.length === row.ids.length ? ids : ids.slice(),
    labels: row.labels === row.ids ? ids : Int32Array.from(row.labels).slice(0, length),
  };
  return row.source ? { ...example, source: row.source } : example;
}
