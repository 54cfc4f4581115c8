import { countPredicted, type Example } from './token-batch.ts';

/** A row as tokens, not yet cut. */
export interface LabelledRow { readonly ids: ArrayLike<number>; readonly labels: ArrayLike<number>; readonly source?: Example['source'] }

/** Why rows were dropped, as reports say it. */
export const DROP_REASONS = {
  tooShort: 'fewer than two tokens, so none has a token before it',
  cutOff: 'cut by max_seq_length before the first counted token',
  masked: 'every label is masked',
} as const;

/** Examples kept so far, and what became of the other rows. */
export interface Collected {
  readonly examples: Example[];
  rows: number;
  tokens: number;
  predictedTokens: number;
  truncated: number;
  dropped: number;
  readonly reasons: Record<string, number>;
  /** Cuts the row to the longest length; keeps it if a token is left to predict. */
  add(row: LabelledRow): void;
}

export function collectExamples(maxSeqLength: number): Collected {
  const collected: Collected = {
    examples: [], rows: 0, tokens: 0, predictedTokens: 0, truncated: 0, dropped: 0, reasons: {},
    add(row) {
      collected.rows++;
      const isCut = row.ids.length > maxSeqLength;
      if (isCut) collected.truncated++;
      const example = cutTo(row, maxSeqLength), predicted = countPredicted(example.labels);
      if (predicted === 0) return drop(reasonFor(example, row, isCut));
      collected.examples.push(example);
      collected.tokens += example.ids.length;
      collected.predictedTokens += predicted;
    },
  };
  const drop = (reason: string): void => {
    collected.dropped++;
    collected.reasons[reason] = (collected.reasons[reason] ?? 0) + 1;
  };
  return collected;
}

function cutTo(row: LabelledRow, length: number): Example {
  const ids = Int32Array.from(row.ids).subarray(0, length);
  const example = { ids: ids.length === row.ids.length ? ids : ids.slice(), labels: row.labels === row.ids ? ids : Int32Array.from(row.labels).slice(0, length) };
  return row.source ? { ...example, source: row.source } : example;
}

function reasonFor(example: Example, row: LabelledRow, isCut: boolean): string {
  if (example.ids.length < 2) return DROP_REASONS.tooShort;
  return isCut && countPredicted(Int32Array.from(row.labels)) > 0 ? DROP_REASONS.cutOff : DROP_REASONS.masked;
}
