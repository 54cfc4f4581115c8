import type { OutputOf } from '../../config/values/check-values.ts';
import type { EVALUATE_TASKS_KEYS } from '../../config/task-keys.ts';

/** The checked values of `eval --tasks`. */
export type EvaluateTasksConfig = OutputOf<typeof EVALUATE_TASKS_KEYS>;
