import type { AttachReport } from '@qdylora/lora-dynamic';
import type { DatasetReport } from '@qdylora/data';
import type { TrainEvent, WarningEvent } from '@qdylora/trainer';
import type { RunConfig } from '../../config/resolve-run.ts';
import type { MemoryForecast } from '../memory-plan/memory-forecast.ts';
import type { ProfileSummary } from '../run/steps/op-profile.ts';
import type { RunReport } from '../outputs/run-report.ts';

/** What is about to be trained, when model and data are loaded. */
export interface ReadyEvent {
  readonly type: 'ready';
  readonly config: RunConfig;
  readonly backend: string;
  readonly model: {
    readonly name: string;
    readonly modelType: string;
    readonly parameterCount: number;
    readonly weightBytes: number;
  };
  /** Null for full training. */
  readonly adapter: (AttachReport & { readonly ranks: readonly number[] }) | null;
  readonly data: { readonly report: DatasetReport; readonly training: number; readonly heldOut: number };
}

/** Something that the user should read once. */
export interface NoticeEvent {
  readonly type: 'notice';
  readonly message: string;
}

/**
 * `events.jsonl` cannot be written or read. Emitted at the first failure, and at the end with the number of
 * events that the file lacks. Training continues.
 */
export interface LogWarningEvent extends Omit<WarningEvent, 'code'> {
  readonly code: 'LOG_NOT_WRITTEN';
  readonly path: string;
  /** The system's own words. */
  readonly reason: string;
  /** Events of this process that are not in the file now; at the end: events that were never written. */
  readonly unwrittenEvents: number;
}

/** Work that takes a while and has no steps. */
export interface PhaseEvent {
  readonly type: 'phase';
  readonly phase: 'loading' | 'judging' | 'writing';
  readonly done?: number;
  readonly total?: number;
  /** Estimated time left of the phase. */
  readonly secondsLeft?: number;
}

/** Where the steps' time went, costliest first; `file` is for chrome://tracing. */
export interface ProfileEvent extends ProfileSummary {
  readonly type: 'profile';
  readonly file: string;
}

/**
 * Forecast of the peak memory of the whole process, and of the GPU if there is one, part by part. Emitted
 * before the first step.
 */
export interface ForecastEvent extends MemoryForecast {
  readonly type: 'forecast';
}

/**
 * Peak memory of the process, and of the GPU if there is one, up to the last file. `forecastBytes` is null
 * where there was no forecast.
 */
export interface MemoryEvent extends MemoryForecast {
  readonly type: 'memory';
  readonly forecastBytes: number | null;
}

/** Everything is written. */
export interface ReportEvent {
  readonly type: 'report';
  readonly report: RunReport;
  readonly files: RunFiles;
}

/** Where things are; null where there is none. */
export interface RunFiles {
  readonly outputDir: string;
  readonly adapter: string | null;
  readonly model: string | null;
  readonly reportJson: string;
  readonly reportHtml: string;
}

/** The trainer's events, and what comes before and after them. */
export type FinetuneEvent =
  | TrainEvent
  | LogWarningEvent
  | ReadyEvent
  | ForecastEvent
  | NoticeEvent
  | PhaseEvent
  | ProfileEvent
  | MemoryEvent
  | ReportEvent;
