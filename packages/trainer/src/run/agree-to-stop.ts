import { QdyloraError } from '@qdylora/contract';
import type { TrainingRun } from './training-run.ts';

/**
 * Ends the run on all workers after the newest step if one worker was aborted or its callback ends the run:
 * the others would wait for it in the next step. Does nothing without workers, and after the last step.
 *
 * @throws QdyloraError ABORTED on all workers if the signal of one fired
 */
export async function agreeToStop(run: TrainingRun): Promise<void> {
  const { workers, signal, totalSteps } = run.options;
  if (!workers || run.isStopAgreed || run.progress.step >= totalSteps) return;
  const { rank, size } = workers;
  const flags = Int32Array.of(signal?.aborted ? size - rank : 0, run.stoppedBy === null ? 0 : 1);
  await workers.allReduce(flags, 'max');
  const [aborted, isStopped] = flags;
  run.isStopAgreed = aborted > 0 || isStopped > 0;
  if (aborted > 0)
    throw new QdyloraError('ABORTED', {
      where: 'train',
      problem: 'The run was aborted',
      details: { isAgreed: true, worker: size - aborted }, // the first worker that was aborted
      cause: signal?.reason,
    });
  if (isStopped) run.stoppedBy ??= 'callback';
}
