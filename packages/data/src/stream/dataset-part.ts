import type { RowCounts } from '../dataset/keep-example.ts';
import type { HeldOutRule } from '../dataset/held-out-rule.ts';
import type { Example } from '../token-batch.ts';
import type { ExampleSource } from './example-source.ts';

/** The rows of all files so far that count for `limit`. */
export interface TakenRows {
  count: number;
}

/** One file of a dataset. The numbers of its usable rows follow those of the files before it. */
export interface DatasetPart {
  /**
   * Visits the rows until `taken` reaches the limit of the dataset, and adds the usable ones to `rule`.
   * Returns the first row number of the next file.
   */
  walk(rule: HeldOutRule, first: number, taken: TakenRows): Promise<number>;
  /** Removes rows from training, by their numbers (ascending), and returns them. */
  take(rows: readonly number[]): Example[];
  training(counts: RowCounts): ExampleSource;
  close(): void;
}
