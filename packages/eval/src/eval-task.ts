import { abortSignal, oneOf, someFunction, type OptionRules } from '@qdylora/contract';
import type { ComputeDtype } from '@qdylora/tensor';
import type { EvalView } from './eval-model.ts';
import type { ExampleLosses } from './example-losses.ts';

export interface MeasureOptions {
  /** `f32` by default. */
  readonly computeDtype?: ComputeDtype;
  /** Looked at between passes. */
  readonly signal?: AbortSignal;
  /** Told after each pass: how many of how many are done. */
  readonly onProgress?: (done: number, total: number) => void;
}

export const MEASURE_RULES: OptionRules<MeasureOptions> = {
  computeDtype: oneOf(['f32', 'bf16']),
  signal: abortSignal,
  onProgress: someFunction,
};

/** A set of examples and a way to judge a model by them. */
export interface EvalTask {
  readonly name: string;
  /** Judges several views in one walk over the data; results in the order of `views`. */
  measure(views: readonly EvalView[], options?: MeasureOptions): Promise<ExampleLosses[]>;
}
