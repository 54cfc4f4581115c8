import type { Communicator } from '@qdylora/collectives';
import { compressedGradients, librarySum, type GradientSum } from '@qdylora/trainer';
import type { RunConfig } from '../../config/resolve-run.ts';

type SumKeys = Pick<RunConfig, 'fastReduce' | 'gradientCompression'>;

/**
 * How a run adds its gradients; null: in the order that the number of workers does not change. Without a
 * launcher each micro batch is added to one sum, since that order needs memory for several.
 */
export function gradientSumOf(
  { fastReduce, gradientCompression }: SumKeys,
  workers: Communicator | null,
): GradientSum | null {
  if (workers === null) return librarySum;
  if (gradientCompression !== 'none') return compressedGradients(gradientCompression);
  return fastReduce ? librarySum : null;
}

/** What a run on these workers gives up, as a sentence for the log and the report; null: nothing. */
export function reductionNotice(
  { fastReduce, gradientCompression }: SumKeys,
  { size, library }: Pick<Communicator, 'size' | 'library'>,
): string | null {
  if (size === 1) return null;
  if (gradientCompression !== 'none')
    return (
      `gradient_compression: gradients are sent as ${gradientCompression}, so the result depends on the ` +
      `number of processes (${size}).`
    );
  if (!fastReduce) return null;
  return (
    `fast_reduce: gradients are added in the order of ${library}, so the last bits of the result depend on ` +
    `the number of processes (${size}).`
  );
}
