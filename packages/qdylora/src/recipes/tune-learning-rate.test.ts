import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { command } from '../../test/run-command.ts';
import { writeTinyRows } from '../../test/tiny-model.ts';
import { rejection, run, tinyRun } from '../../test/tiny-run.ts';
import { tuneLearningRate, type FinetuneOptions, type TuneOptions } from '../index.ts';

const { folder, common } = tinyRun();
const many = writeTinyRows(folder.in('many.jsonl'), 60);
const base = { ...common, maxSteps: 40, learningRate: 1e-3 };
const tune = (name: string, options: Partial<TuneOptions> = {}) =>
  tuneLearningRate({ ...base, rates: 4, ratio: 4, outputDir: folder.in(name), ...options });

describe('tuning a learning rate', () => {
  it('chooses the same rate twice, within its budget, and writes what it found', async () => {
    const first = await tune('first');
    const second = await tune('second', { device: 0 });
    const { files, ...found } = first;
    expect({ ...second, files }).toEqual({ ...found, files });
    expect(found.spentSteps).toBeLessThanOrEqual(found.budgetSteps);
    expect(found.budgetSteps).toBe(40);
    expect(found.candidates.map(({ learningRate }) => learningRate)).toContain(found.learningRate);
    const chosen = found.candidates.find(({ learningRate }) => learningRate === found.learningRate)!;
    expect(chosen.loss).toBeLessThan(found.startLoss!);
    expect(readdirSync(folder.in('first/tune')).sort()).toEqual(['tune.html', 'tune.json']);
    expect(JSON.parse(readFileSync(files.json, 'utf8'))).toMatchObject({
      method: 'successive_halving',
      learning_rate: found.learningRate,
    });
    expect(readFileSync(files.html, 'utf8')).toMatch(/<svg[\s\S]*after 5 steps/);
    // the folder still takes the run
    const events = await run({
      ...base,
      maxSteps: 1,
      learningRate: found.learningRate,
      outputDir: folder.in('first'),
    });
    const report = events.at(-1)!;
    if (report.type !== 'report') throw new Error('expected a report');
    const stable = found.candidates.filter(({ hasDiverged }) => !hasDiverged);
    expect(report.report.learningRate).toMatchObject({
      learningRate: found.learningRate,
      tuned: { method: 'successive_halving', highestStable: stable.at(-1)!.learningRate },
    });
    expect(existsSync(folder.in('first/tune/tune.json'))).toBe(true);
  });

  it('trains the largest rank alone first where the run does', async () => {
    const lossesOf = async (
      options: Pick<FinetuneOptions, 'wideRatio' | 'wideRates'>,
    ): Promise<number[][]> => {
      const { candidates } = await tune(`wide ${JSON.stringify(options)}`, options);
      return candidates.map(({ history }) => history.map(({ loss }) => loss));
    };
    const [none, half, whole] = [
      await lossesOf({ wideRatio: 0 }),
      await lossesOf({ wideRatio: 0.5 }),
      await lossesOf({ wideRatio: 0.99 }),
    ];
    const round = (losses: number[][], k: number): number[] => losses.flatMap((each) => each.slice(k, k + 1));
    expect(round(half, 0)).not.toEqual(round(none, 0));
    // the first of two rounds is the wide half; then rows are sorted, and all ranks train
    expect(round(half, 0)).toEqual(round(whole, 0));
    expect(round(half, 1)).not.toEqual(round(whole, 1));
    const dedicated = await lossesOf({ wideRatio: 0.5, wideRates: 'dedicated' });
    expect(round(dedicated, 0)).not.toEqual(round(half, 0));
  });

  it('tries half and twice the alpha too where that is asked for', async () => {
    const { candidates, loraAlpha } = await tune('alpha', { rates: 2, alpha: true });
    expect([...new Set(candidates.map((candidate) => candidate.loraAlpha))].sort((a, b) => a - b)).toEqual([
      4, 8, 16,
    ]);
    expect([4, 8, 16]).toContain(loraAlpha);
  });

  it('holds a tenth of the rows out of a run that holds none out', async () => {
    const { judgedRows } = await tune('no-held-out', { dataset: many, valSetSize: 0, rates: 2 });
    expect(judgedRows).toBeGreaterThan(0);
  });

  it('of a range test takes 40 steps at most and suggests a rate', async () => {
    const { spentSteps, learningRate, range, method } = await tune('range', {
      rangeTest: true,
      rates: undefined,
      ratio: undefined,
      learningRate: 1e-2,
    });
    expect([method, spentSteps <= 40, learningRate > 0, range.length > 2]).toEqual([
      'range_test',
      true,
      true,
      true,
    ]);
    expect(readFileSync(folder.in('range/tune/tune.html'), 'utf8')).toContain('<svg');
  });

  it('goes on with the moments that the run starts with', async () => {
    const outputDir = folder.in('earlier');
    await run({ ...common, outputDir });
    const further = { adapter: `${outputDir}/adapter`, rates: 2 };
    const [kept, zero] = [
      await tune('kept', { ...further, optimizerState: `${outputDir}/checkpoints/step-${common.maxSteps}` }),
      await tune('zero', further),
    ];
    expect(kept.startLoss).toBe(zero.startLoss);
    expect(kept.candidates[0].loss).not.toBe(zero.candidates[0].loss);
  });

  it('says of a stopped search that nothing was written', async () => {
    const controller = new AbortController();
    const onProgress = ({ done }: { done: number }): void => {
      if (done === 3) controller.abort();
    };
    expect(await rejection(() => tune('aborted', { signal: controller.signal, onProgress }))).toMatchObject({
      code: 'ABORTED',
      where: 'tune',
      message: expect.stringMatching(/The search was stopped\. Nothing was written/) as string,
    });
    expect(existsSync(folder.in('aborted'))).toBe(false);
  });

  it('says what does not fit', async () => {
    const messageOf = async (options: Partial<TuneOptions>) =>
      (await rejection(() => tune('no', options))).message;
    expect(await messageOf({ method: 'none', ranks: undefined })).toMatch(
      /Full training \(method none\) cannot be tuned/,
    );
    expect(await messageOf({ budget: 0.1 })).toMatch(
      /4 candidates need at least 8 steps, but the budget is 4/,
    );
    expect(await messageOf({ learningRate: 1e12 })).toMatch(
      /Every rate from .* diverged: .* Lower learning_rate/,
    );
    expect(existsSync(folder.in('no'))).toBe(false);
    writeFileSync(folder.in('file'), '');
    const { message } = await rejection(() => tune('file', {}));
    expect(message).toMatch(/file is a file, and the plot needs a folder/);
  });
});

describe('qdylora tune', () => {
  const file = folder.in('run.yaml');
  const yaml = [
    '# my run',
    `model: ${common.model}`,
    `dataset: ${common.dataset} # rows`,
    'learning_rate: 1.0e-3   # to be tuned',
    'ranks: [1,2,4]',
    'val_set_size: 4',
    'max_steps: 40',
    'micro_batch_size: 2',
    'backend: host',
    'quantization: none',
    `output_dir: ${folder.in('command')}`,
    '',
  ].join('\n');

  it('prints a plan, then a table and the choice, and changes one value of the file', async () => {
    writeFileSync(file, yaml);
    const plan = await command('tune', file, '--rates', '4', '--ratio', '4', '--dry-run');
    expect(plan.out).toMatch(
      /the run has 40 steps; the search takes 30 of at most 40[\s\S]*rates: 2\.5e-4, 1e-3, 4e-3, 1\.6e-2/,
    );
    expect([plan.code, readFileSync(file, 'utf8'), existsSync(folder.in('command'))]).toEqual([
      0,
      yaml,
      false,
    ]);
    const { code, out } = await command('tune', file, '--rates', '4', '--ratio', '4', '--seed', '5');
    expect(out).toMatch(/rate +steps +held-out loss[\s\S]*← chosen[\s\S]*learning_rate: \S+, was 1e-3 \(/);
    expect(out).toMatch(new RegExp(`next: npx qdylora train ${file} --seed=5$`, 'm'));
    const rate = /learning_rate: (\S+),/.exec(out)![1];
    expect([code, readFileSync(file, 'utf8')]).toEqual([0, yaml.replace('1.0e-3', rate)]);
  });
});
