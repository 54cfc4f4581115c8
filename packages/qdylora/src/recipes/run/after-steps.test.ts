import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { QdyloraError } from '@qdylora/contract';
import { describe, expect, it } from 'vitest';
import { temporaryPlace, writeTinyModel, writeTinyRows } from '../../../test/tiny-model.ts';
import { finetune, type FinetuneEvent, type FinetuneOptions } from '../../index.ts';
import type { ReportSamples } from '../../report/report-data.ts';

const folder = temporaryPlace();
const model = writeTinyModel(folder.in('model'), { tokenizer: true });
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
  maxSteps: 2,
} as const;

async function run(options: FinetuneOptions) {
  const events: FinetuneEvent[] = [];
  const started = finetune(options);
  for await (const event of started) events.push(event);
  return { events, ...(await started.result) };
}

const bytesOf = (path: string): string[] =>
  readdirSync(path)
    .sort()
    .map((name) => readFileSync(join(path, name)).toString('base64'));
const ranksOf = (samples: ReportSamples): unknown =>
  'missing' in samples ? samples.missing : samples.prompts[0].byRank.map(({ rank }) => rank);

/**
 * A signal that fires when it is asked for the `times`-th time after the adapter is written: while texts are.
 */
function firingWhileTextsAreWritten(outputDir: string, times: number): AbortSignal {
  const controller = new AbortController();
  const { signal } = controller;
  const getAborted = Object.getOwnPropertyDescriptor(AbortSignal.prototype, 'aborted')!.get!;
  let looks = 0;
  Object.defineProperty(signal, 'aborted', {
    get() {
      if (existsSync(join(outputDir, 'adapter')) && ++looks === times) controller.abort();
      return getAborted.call(signal) as boolean;
    },
  });
  return signal;
}

const whole = await run({ ...common, outputDir: folder.in('whole') });

describe('after the last step', () => {
  it(
    'an abort while sample texts are written leaves out those that are not whole, says so, and the run ' +
      'ends as it would have',
    async () => {
      expect([ranksOf(whole.report.samples), whole.report.notes]).toEqual([
        [1, 2, 4],
        expect.not.arrayContaining([expect.stringContaining('sample texts')]),
      ]);
      for (const [times, says] of [
        [1, 'The run was stopped before the first of them was written.'],
        [100, [1]],
      ] as const) {
        const outputDir = folder.in(`cut-${times}`);
        const { events, report, files } = await run({
          ...common,
          outputDir,
          signal: firingWhileTextsAreWritten(outputDir, times),
        });
        expect(ranksOf(report.samples)).toEqual(says);
        expect(report.notes).toContainEqual(expect.stringMatching(/stopped while it wrote its sample texts/));
        expect(events).toContainEqual({
          type: 'notice',
          message: expect.stringMatching(/stopped while it wrote its sample texts/) as string,
        });
        expect(bytesOf(files.adapter!)).toEqual(bytesOf(whole.files.adapter!));
      }
    },
  );

  it.each([
    [
      'the adapter',
      'adapter',
      'NOT_EMPTY',
      (path: string) => {
        writeFileSync(path, 'in the way');
      },
    ],
    [
      'the report',
      'report.json',
      'WRITE_FAILED',
      (path: string) => {
        mkdirSync(join(path, 'in the way'), { recursive: true });
      },
    ],
  ] as const)(
    'where %s cannot be written, the error names the last checkpoint and how the rest is written, and that ' +
      'is true',
    async (_, name, code, obstruct) => {
      const outputDir = folder.in(`no-${name}`);
      const inTheWay = join(outputDir, name);
      const error = await run({
        ...common,
        outputDir,
        onSave: ({ step }) => {
          if (step === common.maxSteps && !existsSync(inTheWay)) obstruct(inTheWay);
        },
      }).then(
        () => null,
        (reason: unknown) => reason as QdyloraError,
      );
      expect([error?.code, error?.message]).toEqual([
        code,
        expect.stringMatching(
          /\. .*The trained weights are in .*step-2\. The same command with --resume-from-checkpoint auto /,
        ),
      ]);
      rmSync(inTheWay, { recursive: true });
      const { events } = await run({ ...common, outputDir, resumeFromCheckpoint: 'auto' });
      expect(events.filter(({ type }) => type === 'step')).toEqual([]);
      expect(bytesOf(join(outputDir, 'adapter'))).toEqual(bytesOf(whole.files.adapter!));
      expect(existsSync(join(outputDir, 'report.json'))).toBe(true);
    },
  );
});
