import {
  abortSignal,
  FLOAT_DTYPES,
  objectWith,
  oneOf,
  orNull,
  someFunction,
  type OptionRules,
} from '@qdylora/contract';
import type { ComputeDtype } from '@qdylora/tensor';
import type { EvalView } from './eval-model.ts';
import type { ExampleLosses } from './example-losses.ts';

/** How far an evaluation has come; reported after each forward pass. */
export interface EvalProgress {
  /** Finished passes of this worker. In `answerRequests`, a generated text counts as one pass. */
  readonly done: number;
  /** All passes of this worker: its batches × views. */
  readonly total: number;
  /** Time left, estimated from the tokens processed so far; 0 after the last pass. */
  readonly secondsLeft: number;
}

/** Workers that share an evaluation; a `Communicator` of @qdylora/collectives is one. */
export interface EvalWorkers {
  readonly rank: number;
  readonly size: number;
  /** Replaces `values` on every worker by their sum over all workers. */
  allReduce(values: Float64Array): Promise<void>;
}

/** Options of an evaluation: its compute dtype, its workers, and how its progress is reported. */
export interface MeasureOptions {
  /** `f32` by default. */
  readonly computeDtype?: ComputeDtype;
  /** Checked between forward passes. */
  readonly signal?: AbortSignal;
  /**
   * The workers that share the forward passes. All of them measure the same views on the same examples, and
   * all get the results of one process, bit for bit. null by default.
   */
  readonly workers?: EvalWorkers | null;
  /** Called after each forward pass of this worker. */
  readonly onProgress?: (progress: EvalProgress) => void;
  /** Seconds since any fixed moment, for `secondsLeft`; `performance.now() / 1000` by default. */
  readonly clock?: () => number;
}

export const MEASURE_RULES: OptionRules<MeasureOptions> = {
  computeDtype: oneOf(FLOAT_DTYPES),
  signal: abortSignal,
  workers: orNull(objectWith('allReduce')),
  onProgress: someFunction,
  clock: someFunction,
};

/**
 * A set of examples and a way to measure a model on them. What it measures is a loss: the ranks with the
 * lowest Σ sums / Σ counts are the best. For a score, of which more is better, use `scoreReport`.
 */
export interface EvalTask {
  readonly name: string;
  /** Measures several views in one pass over the data. Results are in the order of `views`. */
  measure(views: readonly EvalView[], options?: MeasureOptions): Promise<ExampleLosses[]>;
}
