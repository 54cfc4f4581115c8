import { planRun, type RunPlan } from '../../recipes/plan-run.ts';
import type { PreparedRun } from '../../recipes/run/prepare-run.ts';
import { inTrainingThread } from './in-training-thread.ts';

/**
 * What a run would be, found out in the thread that it would have: its memory is counted as the run's own
 * would be. Without a script in this thread.
 */
export const planTraining = (
  script: URL | null,
  config: PreparedRun,
  { color, signal }: { readonly color: boolean; readonly signal: AbortSignal },
): Promise<RunPlan> =>
  script
    ? inTrainingThread(script, { task: 'plan', config, color }, { signal })
    : planRun(config, { color, signal });
