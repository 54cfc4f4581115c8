import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MANIFEST_FILE } from '@qdylora/checkpoint';
import { STATE_FILE } from '@qdylora/trainer';
import { describe, expect, it } from 'vitest';
import { writeTinyRows } from '../../test/tiny-model.ts';
import { run, tinyRun } from '../../test/tiny-run.ts';
import { mergeExplicit, valuesOfOptions } from '../config/explicit-values.ts';
import { readRunYaml } from '../config/yaml/read-run-yaml.ts';
import {
  evaluate,
  exportAdapter,
  finetune,
  finishRank,
  mergeAdapter,
  planMemory,
  type FinetuneOptions,
} from '../index.ts';
import type { AdapterSource } from '../serve/adapter-source.ts';
import { openServedModels } from '../serve/open-served-models.ts';
import { prepareRun } from './run/prepare-run.ts';

const { folder, model, rows, common } = tinyRun();
const NF4 = { ...common, quantization: 'nf4' } as const;
const LEVELS = { ...NF4, quantizationLevels: [3, 4, 8] } as const;

/** Report, losses and levels of the steps (of passes that learn too), and the bytes of the adapter. */
async function outcomeOf(name: string, options: Omit<FinetuneOptions, 'outputDir'>) {
  const outputDir = folder.in(name);
  const steps = (await run({ ...options, outputDir })).flatMap((event) =>
    event.type === 'step' ? [{ loss: event.loss, level: event.level, student: event.studentLevel }] : [],
  );
  const adapter = readFileSync(join(outputDir, 'adapter', 'adapter_model.safetensors')).toString('base64');
  return { steps, adapter, outputDir };
}

/** Makes a checkpoint one of a version that has not stored when a run evaluates, at what ranks and rows. */
function dropEvaluations(checkpoint: string): void {
  const path = join(checkpoint, STATE_FILE);
  const state = JSON.parse(readFileSync(path, 'utf8')) as { config: Record<string, unknown> };
  const { eval_steps: _steps, eval_ranks: _ranks, held_out_rows_hash: _rows, ...config } = state.config;
  const text = JSON.stringify({ ...state, config });
  writeFileSync(path, text);
  const manifestPath = join(checkpoint, MANIFEST_FILE);
  const manifest = JSON.parse(readFileSync(manifestPath, 'utf8')) as { files: Record<string, unknown> };
  manifest.files[STATE_FILE] = {
    size: text.length,
    sha256: createHash('sha256').update(text).digest('hex'),
  };
  writeFileSync(manifestPath, JSON.stringify(manifest));
}

describe('a run at several quantization levels', () => {
  it('trains at each, and reports the loss at every pair of rank and level', async () => {
    const { steps, outputDir } = await outcomeOf('levels', LEVELS);
    expect(steps.every(({ level }) => level === 4)).toBe(true);
    expect(steps.some(({ student }) => student === 3 || student === 8)).toBe(true);
    const report = JSON.parse(readFileSync(join(outputDir, 'report.json'), 'utf8'));
    expect(report.levels.map(({ level }: { level: number }) => level)).toEqual([3, 4, 8]);
    expect(report.levels[1].base).toEqual(report.base);
    expect(report.levels[1].ranks.map(({ loss }: { loss: number }) => loss)).toEqual(
      report.ranks.map(({ loss }: { loss: number }) => loss),
    );
    expect(new Set(report.levels.map(({ base }: { base: { loss: number } }) => base.loss)).size).toBe(3);
    const page = readFileSync(join(outputDir, 'report.html'), 'utf8');
    expect(page).toContain('Ranks and quantization levels');
    expect(page).toContain('8 bits');
    const judged = { model, dataset: rows, backend: 'host', adapter: join(outputDir, 'adapter') } as const;
    const at = async (level: number) =>
      (await evaluate({ ...judged, level })).results.map(({ loss }) => loss);
    expect(await at(4)).toEqual((await evaluate(judged)).results.map(({ loss }) => loss));
    expect(await at(3)).not.toEqual(await at(4));
    await expect(evaluate({ ...judged, quantization: 'none', level: 3 })).rejects.toThrow(
      /is not quantized has no quantization levels/,
    );
  });

  it('of one level is judged at it later too, and its run.yaml takes more levels as a new one', async () => {
    const { outputDir } = await outcomeOf('three', { ...NF4, quantizationLevels: [3] });
    const { ranks } = JSON.parse(readFileSync(join(outputDir, 'report.json'), 'utf8')) as {
      readonly ranks: readonly { readonly rank: number; readonly loss: number }[];
    };
    const judged = { model, dataset: rows, backend: 'host', adapter: join(outputDir, 'adapter') } as const;
    const losses = async (level?: number) =>
      (await evaluate({ ...judged, level })).results.map(({ loss }) => loss);
    expect(await losses()).toEqual(await losses(3));
    expect(await losses()).not.toEqual(await losses(4));
    expect(ranks).toHaveLength((await losses()).length);
    const levels = valuesOfOptions({ quantizationLevels: [3, 4, 8] });
    const values = mergeExplicit(await readRunYaml(join(outputDir, 'run.yaml')), levels);
    expect(prepareRun(values).levelSchedule).toBe('distilled');

    const adapter = join(outputDir, 'adapter');
    const { quantization: _chosen, ...rest } = common;
    const more = { ...rest, outputDir: folder.in('more'), adapter };
    expect(prepareRun(valuesOfOptions(more)).quantizationLevels).toEqual([3]);
    const chosen = { ...more, quantization: 'none' } as const;
    expect(prepareRun(valuesOfOptions(chosen)).quantizationLevels).toEqual([4]);
    const merged = { model, adapter, backend: 'host', check: false, outputDir: folder.in('merged') } as const;
    await expect(mergeAdapter(merged)).rejects.toThrow(
      /It was trained at 3 bits per weight, but a merge decodes the base at 4\. .*--quantization none/,
    );
    expect((await mergeAdapter({ ...merged, quantization: 'none' })).layers).toBeGreaterThan(0);
    const originals = { ...judged, quantization: 'none' } as const;
    expect((await evaluate(originals)).results).toHaveLength(ranks.length);
    const budget = { adapter, model, dataset: rows, budget: '1KB', outputDir: folder.in('cut') };
    expect((await exportAdapter(budget)).bytes).toBeGreaterThan(0);
  });

  it('is not served beside one whose base was stored otherwise, unless that is chosen', async () => {
    const sources: AdapterSource[] = [];
    for (const [name, quantizationLevels] of [
      ['at-three', [3]],
      ['at-four', [4]],
    ] as const) {
      const { outputDir } = await outcomeOf(name, { ...NF4, quantizationLevels });
      sources.push({ name, folder: join(outputDir, 'adapter'), model, recommendedRank: null });
    }
    const serve = (values: Readonly<Record<string, unknown>>) =>
      openServedModels(sources, valuesOfOptions(values), () => {});
    await expect(serve({})).rejects.toThrow(
      /It was trained on a base in nf4 with double quantization, blocks of 64, and .*, at 3 bits: a server/,
    );
    // then it is opened, and this model has no tokenizer
    await expect(serve({ quantization: 'nf4', backend: 'host' })).rejects.toThrow(/tokenizer/);
  });

  it('without distillation has steps at each of them', async () => {
    const { steps } = await outcomeOf('sampled', { ...LEVELS, distillation: 0 });
    expect(new Set(steps.map(({ level }) => level)).size).toBeGreaterThan(1);
    expect(steps.every(({ student }) => student === undefined)).toBe(true);
  });

  it('can be finished at one rank, where no pass learns from another', async () => {
    const { outputDir } = await outcomeOf('to-finish', LEVELS);
    const finishing = finishRank({ run: outputDir, rank: 2, outputDir: folder.in('finished') });
    const schedules: (string | null)[] = [];
    for await (const event of finishing)
      if (event.type === 'ready') schedules.push(event.config.levelSchedule);
    expect(schedules).toEqual(['sampled']); // a rank alone does not distil
  });

  it('of level 4 alone is the run without the key, bit for bit', async () => {
    const plain = await outcomeOf('plain', NF4);
    const four = await outcomeOf('four', { ...NF4, quantizationLevels: [4] });
    expect({ ...four, outputDir: '' }).toEqual({ ...plain, outputDir: '' });
    const report = readFileSync(join(plain.outputDir, 'report.json'), 'utf8');
    expect(report).not.toContain('"levels"');
  });

  it('resumes bit for bit where the level follows the held-out loss', async () => {
    const feedback = { levelSchedule: 'feedback', evalSteps: 1, learningRate: 0.3 } as const;
    const options = { ...LEVELS, ...feedback, ranks: [2], valSetSize: 1, maxSteps: 4 };
    const whole = await outcomeOf('whole', options);
    const parts = [
      await outcomeOf('parts', { ...options, onStep: ({ step }) => (step === 2 ? 'stop' : undefined) }),
      await outcomeOf('parts', { ...options, resumeFromCheckpoint: 'auto' }),
    ];
    expect(parts.flatMap(({ steps }) => steps)).toEqual(whole.steps);
    expect(parts[1].adapter).toBe(whole.adapter);
  });

  it('cannot be resumed with other evaluations that its levels follow, unless it is older', async () => {
    const feedback = { levelSchedule: 'feedback', evalSteps: 1 } as const;
    const options = { ...LEVELS, ...feedback, valSetSize: 0, evalDataset: rows, maxSteps: 2 } as const;
    const { outputDir } = await outcomeOf('followed', options);
    const again = { ...options, outputDir, resumeFromCheckpoint: 'auto', maxSteps: 3 } as const;
    const otherRows = writeTinyRows(folder.in('other.jsonl'), 5);
    for (const [other, problem] of [
      [{ evalSteps: 2 }, /: eval_steps 2 \(was 1\)\./],
      [{ evalRanks: [4] }, /: eval_ranks \[4\] \(was \[1,2,4\]\)\./],
      [{ evalDataset: otherRows }, /: held_out_rows_hash "[0-9a-f]{12}…" \(was "/],
    ] as const)
      await expect(run({ ...again, ...other })).rejects.toThrow(problem);
    dropEvaluations(join(outputDir, 'checkpoints', 'step-2'));
    const events = await run({ ...again, evalSteps: 2, evalRanks: [4] });
    expect(events.flatMap((event) => (event.type === 'warning' ? [event.message] : []))).toEqual([
      expect.stringMatching(/The levels of later steps follow the new scores\.$/),
    ]);
  });

  it('is planned with the memory of its levels', async () => {
    const bytesOf = async (quantizationLevels: number[]) => {
      const plan = await planMemory({ ...NF4, outputDir: folder.in('none'), quantizationLevels });
      return plan.parts.find(({ part }) => part === 'base weights')!.bytes;
    };
    const [four, three, all] = [await bytesOf([4]), await bytesOf([3, 4]), await bytesOf([3, 4, 8])];
    expect(three).toBeGreaterThan(four);
    expect(all).toBeGreaterThan(three);
  });
});

it('a run that has other levels cannot be resumed', async () => {
  const { outputDir } = await outcomeOf('first', { ...LEVELS, maxSteps: 2 });
  const other = finetune({
    ...NF4,
    quantizationLevels: [3, 4],
    outputDir,
    resumeFromCheckpoint: 'auto',
  });
  await expect(other.result).rejects.toThrow(/quantization_levels \[3,4\] \(was \[3,4,8\]\)/);
});
