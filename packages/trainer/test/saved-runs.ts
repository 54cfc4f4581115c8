import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TrainResult } from '../src/index.ts';
import { tinyTrain } from './tiny-run.ts';

/** A file of one checkpoint of a run. */
export const bytesOf = (folder: string, step: number, file: string): Buffer =>
  readFileSync(join(folder, 'checkpoints', `step-${step}`, file));

/** Names of the checkpoints of a run, in order. */
export const checkpointsIn = (folder: string): string[] => readdirSync(join(folder, 'checkpoints')).sort();

/** A run that has ended, with all its checkpoints. */
export const finished = (folder: string, totalSteps: number, every = 2): Promise<TrainResult> =>
  tinyTrain({ totalSteps, save: { folder, every, totalLimit: 9 } }).result;
