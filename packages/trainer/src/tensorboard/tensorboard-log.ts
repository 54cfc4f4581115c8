import { appendFileSync, closeSync, openSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import {
  assertArgument,
  checkOptions,
  DisposedError,
  QdyloraError,
  shownValue,
  someFunction,
  wholeNumber,
  type OptionRules,
} from '@qdylora/contract';
import { makeFolder } from '../make-folder.ts';
import { eventRecord, FILE_VERSION, type EventContent } from './event-record.ts';

/** Options of `openTensorboard`: the first step of this process, and its clock. */
export interface TensorboardOptions {
  /** Steps done before this process; TensorBoard drops later steps of older files. 0 by default. */
  readonly startStep?: number;
  /** Milliseconds since 1970; `Date.now` by default. */
  readonly clock?: () => number;
}

/** A file of scalars that TensorBoard shows. */
export interface TensorboardLog extends Disposable {
  readonly path: string;
  /**
   * Appends numbers by tag at a step as one record.
   *
   * @throws QdyloraError WRITE_FAILED, DISPOSED, BAD_ARGUMENT
   */
  write(step: number, scalars: Readonly<Record<string, number>>): void;
}

const OPTIONS: OptionRules<TensorboardOptions> = { startStep: wholeNumber(), clock: someFunction };

/**
 * Begins a new event file for `tensorboard --logdir` in `folder`, beside those of earlier processes.
 *
 * @throws QdyloraError WRITE_FAILED, BAD_ARGUMENT
 * @example
 * using log = openTensorboard('runs/mine/tensorboard');
 * log.write(1, { 'train/loss': 2.5, 'train/rank': 8 });
 */
export function openTensorboard(folder: string, options: TensorboardOptions = {}): TensorboardLog {
  assertArgument(
    typeof folder === 'string',
    'tensorboard',
    `The folder must be a string (got ${shownValue(folder)})`,
  );
  checkOptions('tensorboard', options, OPTIONS);
  const { startStep = 0, clock = Date.now } = options;
  const { path, file } = writing(folder, () => createFile(folder, Math.floor(clock() / 1000)));
  let isOpen = true;
  const append = (step: number, content: EventContent): void => {
    if (!isOpen) throw new DisposedError('TensorBoard log');
    writing(path, () => appendFileSync(file, eventRecord({ wallSeconds: clock() / 1000, step }, content)));
  };
  append(0, { version: FILE_VERSION });
  append(startStep + 1, { start: true });
  return {
    path,
    write(step, scalars) {
      assertArgument(
        Number.isSafeInteger(step) && step >= 0,
        'tensorboard',
        `The step must be a whole number of at least 0 (got ${shownValue(step)})`,
      );
      assertArgument(
        typeof scalars === 'object' &&
          scalars !== null &&
          Object.values(scalars).every((value) => typeof value === 'number'),
        'tensorboard',
        `\`scalars\` must be an object of numbers by tag (got ${shownValue(scalars)})`,
      );
      append(step, { scalars });
    },
    [Symbol.dispose]() {
      if (isOpen) closeSync(file);
      isOpen = false;
    },
  };
}

/**
 * Creates a file. TensorBoard reads the files of a folder in the order of their names, so the time comes
 * first; a counter separates files of one process within one second.
 */
function createFile(folder: string, seconds: number): { path: string; file: number } {
  makeFolder(folder);
  for (let count = 0; ; count++) {
    const path = join(
      folder,
      `events.out.tfevents.${String(seconds).padStart(10, '0')}.${hostname()}.${process.pid}.${count}`,
    );
    try {
      return { path, file: openSync(path, 'ax') };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
}

function writing<T>(path: string, write: () => T): T {
  try {
    return write();
  } catch (error) {
    // that of makeFolder is a QdyloraError already
    const cause = QdyloraError.isInstance(error) ? error.cause : error;
    throw new QdyloraError('WRITE_FAILED', {
      where: 'tensorboard',
      problem: `${path} could not be written: ${(cause as Error).message}`,
      nextStep: 'Make room, or check the permissions of the folder.',
      details: { path },
      cause,
    });
  }
}
