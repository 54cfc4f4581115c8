import type { Communicator } from '@qdylora/collectives';

/** The gradients of a step in one array: the leading elements of each parameter, parameter by parameter. */
export interface PackedGradients {
  readonly values: Float32Array;
  /** Elements of each parameter: [parameters] */
  readonly lengths: readonly number[];
  /** The values are gradients times this (`lossFactor` of the step). */
  readonly lossFactor: number;
}

/** Adds the gradients of the workers. The bits of the sum may depend on the number of workers. */
export interface GradientSum {
  /** What a checkpoint calls it: a resumed run with another one rounds differently. Default: `custom`. */
  readonly name?: string;
  /** Replaces `values` on every worker with the sum over all workers, with the same bits on each. */
  add(workers: Communicator, gradients: PackedGradients): Promise<void>;
}

/**
 * Leaves the order of the sums to the library (`Communicator.allReduce`). A worker adds its passes in place
 * and needs no memory for partial sums. Compared with the default order, each element differs by at most
 * 2 n u Σ|terms|, with n terms and u = 2⁻²⁴.
 */
export const librarySum: GradientSum = {
  name: 'library',
  add: (workers, { values }) => workers.allReduce(values),
};
