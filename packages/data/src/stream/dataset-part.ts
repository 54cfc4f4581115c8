import type { RowCounts } from '../keep-example.ts';
import type { HeldOutRule } from '../split-held-out.ts';
import type { Example } from '../token-batch.ts';
import type { ExampleSource } from './example-source.ts';

/** One file of a dataset. Its usable rows are numbered on from those of the files before it. */
export interface DatasetPart {
  /** Walks over the rows, telling the rule of each; returns the first number of the next file. */
  walk(rule: HeldOutRule, first: number): Promise<number>;
  /** Takes rows out of training, by their numbers (rising), and returns them. */
  take(rows: readonly number[]): Example[];
  training(counts: RowCounts): ExampleSource;
  close(): void;
}
