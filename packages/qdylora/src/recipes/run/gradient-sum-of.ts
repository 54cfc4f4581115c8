import type { Communicator } from '@qdylora/collectives';
import { librarySum, type GradientSum } from '@qdylora/trainer';
import type { RunConfig } from '../../config/resolve-run.ts';

/** How the workers add their gradients; null: in the order that their number does not change. */
export const gradientSumOf = ({ fastReduce }: RunConfig): GradientSum | null =>
  fastReduce ? librarySum : null;

/** What a run on these workers gives up, as a sentence for the log and the report; null: nothing. */
export function reductionNotice(
  { fastReduce }: RunConfig,
  { size, library }: Pick<Communicator, 'size' | 'library'>,
): string | null {
  if (!fastReduce || size === 1) return null;
  return (
    `fast_reduce: gradients are added in the order of ${library}, so the last bits of the result depend on ` +
    `the number of processes (${size}).`
  );
}
