import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { writeFileDurably } from '@qdylora/checkpoint';
import type { TrainEvent } from '@qdylora/trainer';
import { snakeCased } from './snake-cased.ts';

/** `events.jsonl` of a run: one event a line, each optimizer step once, also after a resume. */
export interface EventLog { write(event: TrainEvent): void }

/** @param startStep steps that were done before: later lines of an earlier process, and a line that it left half, are cut off */
export function openEventLog(path: string, startStep: number): EventLog {
  const kept = existsSync(path) ? readFileSync(path, 'utf8').split('\n').filter((line) => isBefore(line, startStep)) : [];
  writeFileDurably(path, kept.map((line) => Buffer.from(`${line}\n`)));
  return { write: (event) => appendFileSync(path, `${JSON.stringify(eventJson(event))}\n`) };
}

function isBefore(line: string, startStep: number): boolean {
  try {
    const { type, step } = JSON.parse(line) as { type?: string; step?: number };
    return type !== 'done' && (step === undefined || step <= startStep);
  } catch {
    return false;
  }
}

/** An event as it stands in the log. */
export function eventJson(event: TrainEvent): unknown {
  if (event.type !== 'step') return snakeCased(event);
  const { totalSteps: _, ...rest } = event; // the plan says it once
  return snakeCased(rest);
}
