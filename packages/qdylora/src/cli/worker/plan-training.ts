import { planRun, type RunPlan } from '../../recipes/plan-run.ts';
import type { PreparedRun } from '../../recipes/run/prepare-run.ts';
import { inTrainingThread } from './in-training-thread.ts';

/**
 * Plans a run in the thread that would train it, so that its memory counts as in the run itself. Without a
 * script, in this thread.
 */
export const planTraining = (
  script: URL | null,
  config: PreparedRun,
  { color, signal }: { readonly color: boolean; readonly signal: AbortSignal },
): Promise<RunPlan> =>
  script
    ? inTrainingThread(script, { task: 'plan', config, color }, { signal })
    : planRun(config, { color, signal });
