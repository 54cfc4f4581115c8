import { readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { QdyloraError } from '@qdylora/contract';
import { describe, expect, it } from 'vitest';
import { temporaryPlace, writeTinyModel, writeTinyRows } from '../../../test/tiny-model.ts';
import {
  evaluate,
  exportAdapter,
  finetune,
  mergeAdapter,
  planMemory,
  quantizeFolder,
  type FinetuneOptions,
} from '../../index.ts';

const folder = temporaryPlace();
const model = writeTinyModel(folder.in('model'));
const rows = writeTinyRows(folder.in('rows.jsonl'));
const common = {
  model,
  dataset: rows,
  streaming: true,
  valSetSize: 4,
  ranks: [1, 2, 4],
  backend: 'host',
  quantization: 'none',
  microBatchSize: 2,
  learningRate: 2e-2,
  maxSteps: 6,
  saveSteps: 0,
  reportTo: [],
} as const;
const bytesOf = (path: string): string[] =>
  readdirSync(path)
    .sort()
    .map((name) => readFileSync(join(path, name)).toString('base64'));

/** Runs, and does something after a step. @returns what ended the run early */
async function errorOf(options: FinetuneOptions, work: () => void): Promise<QdyloraError> {
  const run = finetune({
    ...options,
    onStep: ({ step }) => {
      if (step === 3) work();
    },
  });
  return await run.result.then(
    () => {
      throw new Error('expected an error, got none');
    },
    (error: unknown) => error as QdyloraError,
  );
}

describe('a run that an error ends in the middle', () => {
  it(
    'as where its rows are written anew keeps what it has learned, says so, and ends in the same bytes ' +
      'when it goes on over the rows that it began with',
    async () => {
      const outputDir = folder.in('edited');
      const text = readFileSync(rows, 'utf8');
      const whole = await finetune({ ...common, outputDir: folder.in('whole') }).result;
      utimesSync(rows, 1e9, 1e9);
      const error = await errorOf({ ...common, outputDir }, () => {
        writeFileSync(rows, text.replace('1', '2'));
      });
      expect([error.code, error.message]).toEqual([
        'BAD_DATA',
        expect.stringMatching(
          /after the run began, at 20.*step 3 is kept\. Resume from .*step-3 with resume_from_checkpoint\.$/,
        ),
      ]);
      const logged = readFileSync(join(outputDir, 'events.jsonl'), 'utf8')
        .trim()
        .split('\n')
        .map((line) => (JSON.parse(line) as { type: string }).type);
      expect(logged.at(-1)).toBe('checkpoint');
      await expect(
        finetune({ ...common, outputDir, resumeFromCheckpoint: 'auto' }).result,
      ).rejects.toMatchObject({ code: 'BAD_RESUME' });
      writeFileSync(rows, text);
      const { files } = await finetune({ ...common, outputDir, resumeFromCheckpoint: 'auto' }).result;
      expect(bytesOf(files.adapter!)).toEqual(bytesOf(whole.files.adapter!));
    },
  );
});

describe('what only a program can give is refused by name before anything begins,', () => {
  const controller = new AbortController() as never;
  it.each([
    [
      'finetune',
      () => finetune({ ...common, outputDir: folder.in('never'), signal: controller }),
      /\[finetune\] `signal` must be an AbortSignal, such as `controller\.signal`/,
    ],
    [
      'finetune, a callback',
      () => finetune({ ...common, outputDir: folder.in('never'), onSave: 5 as never }),
      /`onSave` must be a function \(got 5\)/,
    ],
    [
      'evaluate',
      () => evaluate({ model, dataset: rows, signal: controller }),
      /\[evaluate\] `signal` must be an AbortSignal/,
    ],
    [
      'quantizeFolder',
      () => quantizeFolder({ model, outputDir: folder.in('never'), signal: controller }),
      /\[quantizeFolder\] `signal` must be an AbortSignal/,
    ],
    [
      'planMemory',
      () => planMemory({ model, memoryBytes: '32GiB' as never }),
      /\[planMemory\] `memoryBytes` must be a number > 0, or null \(got "32GiB"\)/,
    ],
    [
      'mergeAdapter',
      () => mergeAdapter({ model, adapter: 'a', outputDir: folder.in('never'), onNotice: 5 as never }),
      /\[mergeAdapter\] `onNotice` must be a function \(got 5\)/,
    ],
    [
      'exportAdapter',
      () => exportAdapter({ adapter: 'a', outputDir: folder.in('never'), onNotice: 5 as never }),
      /\[exportAdapter\] `onNotice` must be a function \(got 5\)/,
    ],
    ['finetune without options', () => finetune(undefined as never).result, /`model` has no value/],
  ])('%s', async (_, call, message) => {
    await expect((async () => await call())()).rejects.toThrow(message);
  });
});
