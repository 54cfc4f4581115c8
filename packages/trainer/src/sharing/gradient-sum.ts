import type { Communicator } from '@qdylora/collectives';

/** Gradients of a step in one array: of each parameter its first elements, one after the other. */
export interface PackedGradients {
  readonly values: Float32Array;
  /** Elements of each parameter: [parameters] */
  readonly lengths: readonly number[];
  /** The values are gradients times this (`lossFactor` of the step). */
  readonly lossFactor: number;
}

/** Adds the gradients of the workers where their sum need not have the same bits for any number of them. */
export interface GradientSum {
  /** Replaces `values` on every worker by the sum over all workers, with the same bits on each. */
  add(workers: Communicator, gradients: PackedGradients): Promise<void>;
}

/**
 * Leaves the order of the sums to the library (`Communicator.allReduce`). A worker adds its passes where they
 * are computed and keeps no term apart. Compared with the exact order, each element differs by at most
 * 2 n u Σ|terms|, with n terms and u = 2⁻²⁴.
 */
export const librarySum: GradientSum = {
  add: (workers, { values }) => workers.allReduce(values),
};
