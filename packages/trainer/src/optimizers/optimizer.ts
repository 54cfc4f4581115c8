import type { ArrayView, Backend, DataOf, DType, Shape } from '@qdylora/contract';
import type { Parameter } from '@qdylora/tensor';

/** Rows `[from, to)` along the first axis. */
export type RowRange = readonly [from: number, to: number];

/** Arguments of one update. The gradients are in the parameters. */
export interface OptimizerUpdate {
  readonly learningRate: number;
  /** Factor on every gradient: 1, or the clipping coefficient. */
  readonly gradientScale: number;
  /**
   * The rows of each parameter to update. All other rows keep weights and state bit for bit, even with weight
   * decay. null: every row.
   */
  readonly rows: readonly RowRange[] | null;
  /**
   * Whether this is a wide step: a step of a nested run that trains its largest rank alone (`wideSteps`).
   * Rows may have other learning rates in it (`RowRate`). False by default.
   */
  readonly isWide?: boolean;
}

/** One array of an optimizer's state, in device memory, in host memory or on pages. */
export interface StateArray<D extends DType = DType> {
  readonly dtype: D;
  readonly shape: Shape;
  /**
   * The values, if they can be read without waiting: a view of host memory, or gathered from pages; else
   * null. Valid until the next update.
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

/** Everything that an optimizer keeps between two updates. */
export interface OptimizerState {
  readonly counts: StepCounts;
  readonly arrays: ReadonlyMap<string, StateArray>;
}

/** A state that comes from a file. */
export interface SavedOptimizerState {
  readonly counts: StepCounts;
  readonly arrays: ReadonlyMap<string, SavedArray>;
}

/** Where an optimizer's state is, and the cost of paging since `prepare`. */
export interface OptimizerLedger {
  /** Bytes of state in memory, including the slots of pages. */
  readonly residentBytes: number;
  /** Bytes of state on pages. */
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
  /** The rate that `trainStep` uses by default. `train` takes the rate from its schedule instead. */
  readonly learningRate: number;
  /** Bytes of gradients and state in memory together. */
  readonly byteLength: number;
  ledger(): OptimizerLedger;
  /**
   * Arrays that together contain all gradients. Contiguous gradients share one array, so there may be fewer
   * arrays than parameters; padding between gradients is 0. If absent: one array per parameter.
   */
  gradients?(): readonly ArrayView<'f32'>[];
  /** Float32 state arrays that stay in memory; each step checks that they are finite. If absent: no check. */
  resident?(): readonly ArrayView<'f32'>[];
  /**
   * Makes the parameters trainable and allocates the state. Repeated calls on the same backend do nothing.
   * `trainStep` and `train` call it.
   *
   * @throws QdyloraError WRITE_FAILED if the disk has no room for pages; InsufficientMemoryError. After an
   * error nothing stays allocated, so the call can be repeated.
   */
  prepare(backend: Backend): void;
  /**
   * Updates the weights. If it refuses the update or runs out of memory, weights, state and counters are
   * unchanged.
   *
   * @throws QdyloraError WRITE_FAILED if a page could not be moved, NON_FINITE if a page contains NaN or
   * infinity. In both cases the state is lost.
   */
  step(update: OptimizerUpdate): void;
  state(): OptimizerState;
  /** @throws QdyloraError BAD_RESUME if an array is missing or has another size. Nothing has changed then. */
  load(saved: SavedOptimizerState): void;
  /** Frees gradients and state, and freezes the parameters again. */
  dispose(): void;
}

/** Arrays that together contain the gradients of an optimizer's parameters. */
export const gradientArrays = (
  optimizer: Pick<Optimizer, 'parameters' | 'gradients'>,
): readonly ArrayView<'f32'>[] =>
  optimizer.gradients?.() ?? optimizer.parameters.map(({ gradient }) => gradient!);
