import { assertArgument, shownValue } from '@qdylora/contract';
import type { Communicator } from '../communicator.ts';
import { codecOf, SENT_FORMATS, type SentFormat } from './sent-codes.ts';

/** The arrays of one worker in a compressed sum, and the format in which they are sent. */
export interface CompressedTerms {
  /** What this worker adds; afterwards the sum, with the same bits on every worker: [n] */
  readonly values: Float32Array;
  /**
   * What this worker has not sent yet: 0 before the first call, and passed on from call to call: [n]. An
   * element that is infinite or NaN leaves 0 behind.
   */
  readonly residual: Float32Array;
  readonly format: SentFormat;
}

/**
 * Adds the arrays of all workers, sent as bf16 or int8 with error feedback (Seide et al. 2014): what rounding
 * takes away from one sum is added to the next one. Over many calls the sums of `values` are therefore those
 * of the exact numbers, but for what is in the residuals: Σ results + Σ residuals = Σ values.
 *
 * Each worker sends the shards of its array (all-to-all), adds one shard in float32, and sends the sum of it
 * (all-gather). Both are rounded. What the second rounding takes away stays with the worker that added the
 * shard. It sends about 2 n bytes (int8) or 4 n bytes (bf16), and an all-reduce of float32 8 n.
 *
 * The result depends on the number of workers.
 *
 * @throws QdyloraError BAD_ARGUMENT for arrays of different lengths or an unknown format
 * @example
 * const residual = new Float32Array(gradient.length);
 * await sumCompressed(world, { values: gradient, residual, format: 'int8' });
 */
export async function sumCompressed(
  world: Pick<Communicator, 'rank' | 'size' | 'allToAll' | 'allGather'>,
  { values, residual, format }: CompressedTerms,
): Promise<void> {
  assertArgument(
    SENT_FORMATS.includes(format),
    'sum-compressed',
    `The format must be one of ${SENT_FORMATS.join(', ')} (got ${shownValue(format)})`,
  );
  assertArgument(
    values.length === residual.length,
    'sum-compressed',
    `There must be one residual for each value (got ${residual.length} for ${values.length})`,
  );
  const { rank, size } = world;
  if (size === 1) return;
  const codec = codecOf(format);
  const shardLength = Math.ceil(values.length / size);
  const shardBytes = codec.byteLength(shardLength);
  /** The last shards are shorter, or empty. */
  const shardOf = (array: Float32Array, worker: number): Float32Array =>
    array.subarray(worker * shardLength, (worker + 1) * shardLength);
  const bytesOf = (bytes: Uint8Array, worker: number): Uint8Array =>
    bytes.subarray(worker * shardBytes, (worker + 1) * shardBytes);

  for (let i = 0; i < values.length; i++) residual[i] += values[i];
  const sent = new Uint8Array(shardBytes * size);
  for (let worker = 0; worker < size; worker++) {
    codec.encode(shardOf(residual, worker), bytesOf(sent, worker));
    codec.decode(bytesOf(sent, worker), shardOf(values, worker));
  }
  leaveRest(residual, values);
  const received = new Uint8Array(shardBytes * size);
  await world.allToAll(sent, received);

  const sum = new Float32Array(shardOf(values, rank).length);
  const decoded = new Float32Array(sum.length);
  for (let worker = 0; worker < size; worker++) {
    codec.decode(bytesOf(received, worker), decoded);
    for (let i = 0; i < sum.length; i++) sum[i] += decoded[i];
  }
  const sumBytes = bytesOf(sent, 0);
  codec.encode(sum, sumBytes);
  codec.decode(sumBytes, decoded);
  leaveRest(sum, decoded);
  const rest = shardOf(residual, rank);
  for (let i = 0; i < sum.length; i++) rest[i] += sum[i];

  await world.allGather(sumBytes, received);
  for (let worker = 0; worker < size; worker++)
    codec.decode(bytesOf(received, worker), shardOf(values, worker));
}

/** Replaces numbers by the part of them that was not sent. */
function leaveRest(values: Float32Array, sent: Float32Array): void {
  for (let i = 0; i < values.length; i++) {
    const rest = values[i] - sent[i];
    values[i] = rest - rest === 0 ? rest : 0;
  }
}
