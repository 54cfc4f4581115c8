import type { FinetuneResult } from '../../recipes/finetune.ts';
import type { FinetuneEvent } from '../../recipes/run-folder/finetune-events.ts';
import type { RunPlan } from '../../recipes/plan-run.ts';
import type { PreparedRun } from '../../recipes/run/prepare-run.ts';
import type { PackedError } from './error-transfer.ts';

/** What the training thread is started with: fine-tune, or say what that would be. */
export type TrainOrder =
  | { readonly task: 'train'; readonly options: PreparedRun }
  | { readonly task: 'plan'; readonly config: PreparedRun; readonly color: boolean };

/** What comes of an order. Of several workers that train together, only the first has a result. */
export type ResultOf<O extends TrainOrder> = O extends { readonly task: 'train' }
  ? FinetuneResult | null
  : RunPlan;

/** From the command to the training thread: finish the pass, save, end. */
export type ToWorker = { readonly type: 'stop'; readonly reason: PackedError };

export type FromWorker =
  | { readonly type: 'event'; readonly event: FinetuneEvent }
  | { readonly type: 'result'; readonly result: ResultOf<TrainOrder> }
  | { readonly type: 'error'; readonly error: PackedError };
