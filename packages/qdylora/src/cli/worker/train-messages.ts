import type { RunOptions } from '../../config/resolve-run.ts';
import type { FinetuneResult } from '../../recipes/finetune.ts';
import type { FinetuneEvent } from '../../recipes/finetune-events.ts';
import type { PackedError } from './error-transfer.ts';

/** What the training thread is started with. */
export interface TrainOrder { readonly options: RunOptions }

/** From the command to the training thread: finish the pass, save, end. */
export type ToWorker = { readonly type: 'stop'; readonly reason: PackedError };

export type FromWorker =
  | { readonly type: 'event'; readonly event: FinetuneEvent }
  | { readonly type: 'result'; readonly result: FinetuneResult }
  | { readonly type: 'error'; readonly error: PackedError };
