import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { writeTinyRows } from '../../../test/tiny-model.ts';
import { bytesOf, rejection, run, stepsIn, tinyRun } from '../../../test/tiny-run.ts';
import { evaluate, exportAdapter, finetune, finishRank, type FinetuneOptions } from '../../index.ts';
import type { RunReport } from '../outputs/run-report.ts';

const { folder, rows, model, common, judged } = tinyRun();
const options = {
  ...common,
  valSetSize: 0,
  evalDataset: writeTinyRows(folder.in('held-out.jsonl')),
  outputDir: folder.in('run'),
} as const;

const reportOf = async (changes: Partial<FinetuneOptions>): Promise<RunReport> => {
  const last = (await run({ ...options, ...changes })).at(-1)!;
  if (last.type !== 'report') throw new Error('expected a report');
  return last.report;
};

describe('the budgets of a report', () => {
  let report: RunReport;
  beforeAll(async () => {
    report = await reportOf({ evalBudgets: 'ranks' });
  });

  it('are the sizes of the ranks below the largest, and none is exceeded', () => {
    const { budgets, rows: taskRows, smallestNotWorse } = report.budgets!;
    const sizes = report.ranks.slice(0, -1).map(({ adapterBytes }) => adapterBytes);
    expect(budgets.map(({ budgetBytes }) => budgetBytes)).toEqual(sizes);
    expect(budgets.every(({ budgetBytes, adapterBytes }) => adapterBytes <= budgetBytes)).toBe(true);
    expect(taskRows).toBeGreaterThan(0);
    expect(smallestNotWorse.map(({ rank }) => rank)).toEqual([1, 2, 4]);
  });

  it('have the losses of the adapters that an export under the same budget writes', async () => {
    for (const { budgetBytes: budget, adapterBytes, loss } of report.budgets!.budgets) {
      const outputDir = folder.in(`exported ${budget}`);
      const adapter = join(options.outputDir, 'adapter');
      const { bytes } = await exportAdapter({ adapter, budget, model, dataset: rows, outputDir });
      const dataset = options.evalDataset;
      const { results } = await evaluate({ ...judged, dataset, adapter: outputDir });
      expect([bytes, results[0].loss]).toEqual([adapterBytes, expect.closeTo(loss, 5)]);
    }
  });

  it('are added to the report of a run that has ended, which takes no further step', async () => {
    const outputDir = folder.in('later');
    expect((await reportOf({ outputDir })).budgets).toBeNull();
    const adapter = bytesOf(join(outputDir, 'adapter'));
    const sizes = report.budgets!.budgets.map(({ budgetBytes }) => budgetBytes);
    const evalBudgets = [...sizes, 1e6, sizes[0]];
    const { budgets } = await reportOf({ outputDir, evalBudgets, resumeFromCheckpoint: 'auto' });
    expect(budgets!.budgets.slice(0, -1)).toEqual(report.budgets!.budgets);
    // all rows of the adapter fit: it computes what the largest rank does
    expect(budgets!.budgets.at(-1)!.loss).toBeCloseTo(report.ranks.at(-1)!.loss, 5);
    expect(bytesOf(join(outputDir, 'adapter'))).toEqual(adapter);
    expect(stepsIn(outputDir)).toEqual([1, 2, 3, 4, 5, 6]);
    const json = JSON.parse(readFileSync(join(outputDir, 'report.json'), 'utf8')) as {
      budgets: { budgets: object[]; smallest_not_worse: object[] };
    };
    expect(json.budgets.budgets[0]).toMatchObject({
      budget_bytes: sizes[0],
      standard_error: expect.any(Number),
    });
    expect(json.budgets.smallest_not_worse[0]).toHaveProperty('budget_bytes');
    expect(readFileSync(join(outputDir, 'report.html'), 'utf8')).toContain('Loss over bytes');
  });

  it('are measured at the quantization level of the run', async () => {
    const at3 = { quantization: 'nf4', quantizationLevels: [3], evalBudgets: 1e6 } as const;
    const { ranks, budgets } = await reportOf({ ...at3, outputDir: folder.in('level 3') });
    expect(budgets!.budgets[0].loss).toBeCloseTo(ranks.at(-1)!.loss, 5);
  });

  it('are measured after the adapter is written, so that stopping there costs nothing else', async () => {
    const outputDir = folder.in('stopped');
    const stop = new AbortController();
    let isWriting = false;
    const work = async (): Promise<void> => {
      for await (const event of finetune({
        ...options,
        outputDir,
        evalBudgets: 'ranks',
        signal: stop.signal,
      }))
        if (event.type === 'phase') {
          isWriting ||= event.phase === 'writing';
          if (isWriting && event.phase === 'judging') stop.abort();
        }
    };
    expect(await rejection(work)).toMatchObject({ code: 'ABORTED' });
    expect(bytesOf(join(outputDir, 'adapter'))).toEqual(bytesOf(join(options.outputDir, 'adapter')));
  });

  it('of a finish are left out, since one rank has none below it', async () => {
    const { result } = finishRank({ run: options.outputDir, rank: 2, outputDir: folder.in('finish') });
    expect((await result).report.budgets).toBeNull();
  });

  it('are refused before the first step where they cannot be evaluated', async () => {
    const refused = async (changes: Partial<FinetuneOptions>): Promise<string> =>
      (await rejection(() => run({ ...options, outputDir: folder.in('never'), ...changes }))).message;
    expect(await refused({ evalBudgets: '12B' })).toMatch(
      /A budget is 12 B, but the smallest row of an adapter takes \d+ B\. The whole adapter has .* or ranks/,
    );
    expect(await refused({ evalBudgets: 'ranks', ranks: [4] })).toMatch(
      /ranks means the sizes of all ranks below the largest, and the only rank is 4\. Give sizes/,
    );
    expect(await refused({ evalBudgets: 'ranks', evalDataset: undefined })).toMatch(
      /`evalBudgets` needs held-out rows\. Set val_set_size or eval_dataset/,
    );
    expect(await refused({ evalBudgets: 'everything' })).toMatch(
      /`evalBudgets` must be ranks or sizes with a unit, such as 1MB, 4MB \(got "everything"\)/,
    );
  });
});
