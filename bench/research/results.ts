import { readdirSync, readFileSync } from 'node:fs';
import type { FinishMoments, Job } from './job.ts';

const FOLDER = new URL('results/', import.meta.url);

/** Sums of token losses of each held-out row, by rank. */
export type RowSums = Readonly<Record<string, readonly number[]>>;

/** A line of results/<file of jobs>.jsonl: the job and its measurements. */
export interface Result extends Job {
  readonly losses: Readonly<Record<string, number>>;
  readonly tokens: number;
  /** Tokens of the rows, each row counted once. Absent in older results, where each row runs once. */
  readonly rowTokens?: number;
  readonly rowSums: RowSums;
  readonly rowCounts: readonly number[];
  readonly trainSeconds: number;
  /** Losses of the trained adapter cut at smaller ranks, by `Cut`. */
  readonly cut?: Readonly<Record<string, { readonly rowSums: RowSums }>>;
  readonly squeezed?: { readonly rowSums: RowSums };
  /** Slices that were trained further alone. */
  readonly finished?: readonly FinishedSlice[];
  /** Losses of the adapter and of the base at other quantization levels. */
  readonly byLevel?: Readonly<Record<string, { readonly base: number; readonly rowSums: RowSums }>>;
  /** Losses of adapters cut to the bytes of a rank (`measureBudgets`). */
  readonly budgets?: readonly {
    readonly kind: string;
    readonly budgetRank: number;
    readonly rowSums: readonly number[];
  }[];
}

export interface FinishedSlice {
  readonly rank: number;
  readonly steps: number;
  /** Absent in older results, of jobs with one `Finish`; so is `moments`. */
  readonly learningRate?: number;
  readonly moments?: FinishMoments;
  readonly loss: number;
  readonly rowSums: readonly number[];
}

/** The results of a file of jobs, in the order in which they ended. */
export const resultsOf = (name: string): Result[] =>
  readFileSync(new URL(`${name}.jsonl`, FOLDER), 'utf8')
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Result);

/** The results of all files. */
export const allResults = (): Result[] =>
  readdirSync(FOLDER)
    .filter((name) => name.endsWith('.jsonl'))
    .flatMap((name) => resultsOf(name.slice(0, -'.jsonl'.length)));

/** The mean over ranks of the sums of each held-out row. */
export const meanOverRanks = (rowSums: RowSums, ranks: readonly number[]): Float64Array =>
  meanByRow(ranks.map((rank) => rowSums[rank]));

/** The mean of several arrays of one value per held-out row. */
export const meanByRow = (arrays: readonly ArrayLike<number>[]): Float64Array =>
  Float64Array.from(
    arrays[0],
    (_, row) => arrays.reduce((sum, values) => sum + values[row], 0) / arrays.length,
  );
