import { QdyloraError } from '@qdylora/contract';

/** Parts of the error about values that are infinite or NaN. */
export interface NonFiniteProblem {
  readonly where: string;
  readonly problem: string;
  readonly nextStep: string;
}

/** @throws QdyloraError NON_FINITE unless all values are finite */
export function assertFinite(values: Float32Array | Float64Array, problem: NonFiniteProblem): void {
  if (!values.every(Number.isFinite)) throw new QdyloraError('NON_FINITE', { ...problem });
}
