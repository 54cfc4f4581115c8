import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { QdyloraError } from '@qdylora/contract';
import { finetune, type FinetuneEvent, type FinetuneOptions } from '../src/index.ts';
import { temporaryPlace, writeTinyModel, writeTinyRows } from './tiny-model.ts';

/** A tiny model, rows, and the options of a run of six steps over them. */
export function tinyRun() {
  const folder = temporaryPlace();
  const model = writeTinyModel(folder.in('model'));
  const rows = writeTinyRows(folder.in('rows.jsonl'));
  const common = {
    model,
    dataset: rows,
    valSetSize: 4,
    ranks: [1, 2, 4],
    backend: 'host',
    quantization: 'none',
    microBatchSize: 2,
    learningRate: 2e-2,
    maxSteps: 6,
    saveSteps: 2,
  } as const;
  const judged = { model, dataset: rows, backend: 'host', quantization: 'none' } as const;
  return { folder, model, rows, common, judged };
}

/** All events of a run; rejects as the run does. */
export async function run(options: FinetuneOptions): Promise<FinetuneEvent[]> {
  const events: FinetuneEvent[] = [];
  for await (const event of finetune(options)) events.push(event);
  return events;
}

/** The error of work that must fail. */
export async function rejection(work: () => Promise<unknown>): Promise<QdyloraError> {
  try {
    await work();
  } catch (error) {
    return error as QdyloraError;
  }
  throw new Error('expected an error, got none');
}

/** Content of all files of a folder, by name. */
export const bytesOf = (path: string): string[] =>
  readdirSync(path)
    .sort()
    .map((name) => readFileSync(join(path, name)).toString('base64'));

/** The steps that a run has logged. */
export const stepsIn = (path: string): number[] =>
  readFileSync(join(path, 'events.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { type: string; step: number })
    .filter(({ type }) => type === 'step')
    .map(({ step }) => step);
