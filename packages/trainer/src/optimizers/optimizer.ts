import type { ArrayView, Backend, DataOf, DType, Shape } from '@qdylora/contract';
import type { Parameter } from '@qdylora/tensor';

/** Rows `[from, to)` along the first axis. */
export type RowRange = readonly [from: number, to: number];

/** What one update needs to know besides the gradients, which lie in the parameters. */
export interface OptimizerUpdate {
  readonly learningRate: number;
  /** Factor on every gradient: 1, or the clipping coefficient. */
  readonly gradientScale: number;
  /**
   * The rows of each parameter to touch; all others keep weight and state bit for bit, also under weight
   * decay. null: every row.
   */
  readonly rows: readonly RowRange[] | null;
  /**
   * Whether this is a wide step: one of a nested run that trains its largest rank alone (`wideSteps`). Rows
   * may have other learning rates then (`RowRate`). False by default.
   */
  readonly isWide?: boolean;
}

/** One array of an optimizer's state, wherever it lives: device memory, host memory or a page on disk. */
export interface StateArray<D extends DType = DType> {
  readonly dtype: D;
  readonly shape: Shape;
  /**
   * The numbers, if JavaScript can have them without waiting: where they lie, or gathered from their pages.
   * Valid until the next update.
   */
  peek(): DataOf[D] | null;
  /** A copy. */
  read(): Promise<DataOf[D]>;
  write(values: DataOf[D]): void;
}

/** One array of a state that comes from a file; nothing is read before `read`. */
export interface SavedArray {
  readonly dtype: DType;
  readonly length: number;
  read(): DataOf[DType];
}

/** How many updates each row has had: `rows[i]` for row i, `rest` for all rows after those. */
export interface StepCounts {
  readonly rows: readonly number[];
  readonly rest: number;
}

/** Everything that an optimizer remembers between two updates. */
export interface OptimizerState {
  readonly counts: StepCounts;
  readonly arrays: ReadonlyMap<string, StateArray>;
}

/** A state that comes from a file. */
export interface SavedOptimizerState {
  readonly counts: StepCounts;
  readonly arrays: ReadonlyMap<string, SavedArray>;
}

/** Where an optimizer's state is, and what paging has cost since `prepare`. */
export interface OptimizerLedger {
  /** Bytes of state in memory, the slot that pages take turns in included. */
  readonly residentBytes: number;
  /** Bytes of state that rest elsewhere between their turns. */
  readonly pagedBytes: number;
  readonly pageIns: number;
  /** Time spent on moving pages. */
  readonly waitSeconds: number;
}

/** Turns gradients into changed weights, in place. */
export interface Optimizer extends Disposable {
  /** As in the config: `adamw_32bit`. */
  readonly name: string;
  readonly parameters: readonly Parameter[];
  /** The rate that schedules scale, and that `trainStep` uses as it is. */
  readonly learningRate: number;
  /** Bytes of gradients and state in memory together. */
  readonly byteLength: number;
  ledger(): OptimizerLedger;
  /**
   * Arrays that have the gradients of all parameters; gaps between those are 0. They are fewer than the
   * parameters where gradients lie side by side. Without it each parameter has one.
   */
  gradients?(): readonly ArrayView<'f32'>[];
  /**
   * The float32 arrays of state that are in memory between updates: what a step looks at before it trusts
   * them. Without it nobody looks.
   */
  resident?(): readonly ArrayView<'f32'>[];
  /**
   * Makes the parameters trainable and room for the state; on the same backend it may be called again.
   * `trainStep` and `train` do it.
   * @throws QdyloraError WRITE_FAILED where the disk has no room for pages; InsufficientMemoryError. Nothing
   * is held then, so it may be called again.
   */
  prepare(backend: Backend): void;
  /**
   * Updates the weights. Where it refuses the update, or runs out of memory, weights, state and counters are
   * unchanged.
   * @throws QdyloraError WRITE_FAILED where a page could not be moved, NON_FINITE where one holds no numbers:
   * the state is lost then.
   */
  step(update: OptimizerUpdate): void;
  state(): OptimizerState;
  /**
   * @throws QdyloraError BAD_RESUME where an array is missing or of another size; nothing has changed then.
   */
  load(saved: SavedOptimizerState): void;
  /** Gives gradients and state back; the parameters are frozen again. */
  dispose(): void;
}

/** Arrays that together hold the gradients of an optimizer's parameters. */
export const gradientArrays = ({
  gradients,
  parameters,
}: Pick<Optimizer, 'parameters' | 'gradients'>): readonly ArrayView<'f32'>[] =>
  gradients?.() ?? parameters.map(({ gradient }) => gradient!);
