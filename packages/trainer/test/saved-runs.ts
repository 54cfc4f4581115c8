import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { QdyloraError } from '@qdylora/contract';
import type { TrainResult } from '../src/index.ts';
import { tinyTrain, type TinyRunOptions } from './tiny-run.ts';

/** A file of one checkpoint of a run. */
export const bytesOf = (folder: string, step: number, file: string): Buffer =>
  readFileSync(join(folder, 'checkpoints', `step-${step}`, file));

/** Names of the checkpoints of a run, in order. */
export const checkpointsIn = (folder: string): string[] => readdirSync(join(folder, 'checkpoints')).sort();

/** The error that a run ends with. */
export const failureOf = (options: TinyRunOptions): Promise<QdyloraError> =>
  tinyTrain(options).result.then(
    () => {
      throw new Error('it did not fail');
    },
    (error: unknown) => error as QdyloraError,
  );

/** A run that has ended, with all its checkpoints. */
export const finished = (folder: string, totalSteps: number, every = 2): Promise<TrainResult> =>
  tinyTrain({ totalSteps, save: { folder, every, totalLimit: 9 } }).result;
