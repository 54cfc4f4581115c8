import type { Communicator } from '@qdylora/collectives';
import type { FileSystem } from '@qdylora/checkpoint';
import type { TrainCallbacks } from '@qdylora/trainer';
import { markProcess, type ProcessMark } from '../memory-plan/resident-memory.ts';
import type { BackendChoice } from '../opening/choose-backend.ts';
import type { FinetuneEvent } from '../run-folder/finetune-events.ts';

export interface SessionOptions {
  /** By name, or a backend of the caller. */
  readonly backend: BackendChoice;
  /** The number of the GPU. Default: 0. */
  readonly device?: number;
  readonly signal?: AbortSignal;
  /** Checkpoints and `events.jsonl` are written through it; Node's file system by default. */
  readonly fs?: FileSystem;
  readonly callbacks?: TrainCallbacks;
  /** The workers that share the steps; null: this process alone. */
  readonly workers?: Communicator | null;
  readonly emit?: (event: FinetuneEvent) => void;
}

/** State shared by all parts of a run: listeners, notes for its report, and its memory over time. */
export interface RunSession extends SessionOptions {
  readonly callbacks: TrainCallbacks;
  readonly emit: (event: FinetuneEvent) => void;
  /** Notices that the report repeats, in their order. */
  readonly notes: string[];
  /** Resident memory of the process at moments before the first step. */
  readonly marks: ProcessMark[];
  /** Emits a notice and keeps it for the report. */
  readonly notice: (message: string) => void;
  /** Measures the process now, when `part` has been loaded. */
  readonly mark: (part: string) => void;
}

export function openSession({ emit = () => {}, callbacks = {}, ...options }: SessionOptions): RunSession {
  const notes: string[] = [];
  const marks: ProcessMark[] = [];
  return {
    ...options,
    callbacks,
    emit,
    notes,
    marks,
    notice(message) {
      notes.push(message);
      emit({ type: 'notice', message });
    },
    mark: (part) => markProcess(marks, part),
  };
}
