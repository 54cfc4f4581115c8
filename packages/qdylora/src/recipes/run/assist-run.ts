import type { Communicator } from '@qdylora/collectives';
import { checkHooks } from './check-hooks.ts';
import { checkpointOf } from '../run-folder/output-folder.ts';
import { agreeOnRun } from './agree-on-run.ts';
import { judgeOf } from './judging/judge-run.ts';
import { openRun } from '../finetune.ts';
import type { PreparedRun } from './prepare-run.ts';
import { openSession } from './run-session.ts';
import { learn } from './steps/learn.ts';
import { startAdapter } from './steps/start-adapter.ts';

export interface AssistOptions {
  /** The workers of the run; this one is not the first. */
  readonly workers: Communicator;
  /** As of `finetune`. */
  readonly device?: number;
  readonly signal?: AbortSignal;
}

/**
 * Computes this worker's share of a run whose first worker calls `finetune`. It trains a model of its own
 * with the same bits, and writes no file but pages of optimizer state: the first worker saves and reports.
 *
 * @throws QdyloraError what `finetune` throws
 * @example
 * const workers = await connectWorld();
 * if (workers.rank > 0) await assistRun(prepareRun(options), { workers });
 */
export async function assistRun(
  requested: PreparedRun,
  { workers, device, signal }: AssistOptions,
): Promise<void> {
  checkHooks('assistRun', { signal, device });
  const checkpoint = checkpointOf(requested);
  const session = openSession({ backend: requested.backend, device, signal, workers });
  using opened = await openRun(requested, session);
  await agreeOnRun(opened, session, checkpoint);
  if (checkpoint === null) await startAdapter(opened, session);
  const judge = judgeOf(opened, session);
  const { training } = await learn(opened, judge, session);
  await judge?.atEnd(training.step);
}
