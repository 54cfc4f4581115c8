import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { everyRank } from './every-rank.ts';
import { tinyRun } from './test-support/tiny-run.ts';

test('ten lines give a report over every rank, all better than the base, and an adapter', async () => {
  using tiny = tinyRun();
  const outputDir = join(tiny.folder, 'run');
  const lines: unknown[][] = [];
  const { report, files } = await everyRank(
    {
      model: tiny.model,
      dataset: tiny.dataset,
      outputDir,
      backend: 'host',
      valSetSize: 8,
      maxSteps: 24,
      learningRate: 1e-2,
      maxSeqLength: 64,
      seed: 7,
    },
    (...line) => lines.push(line),
  );
  expect(lines).toHaveLength(25); // one a step, and the choice
  expect(report.ranks.map(({ rank }) => rank)).toEqual([1, 2, 4, 8, 16, 32, 64]);
  for (const { rank, loss } of report.ranks) expect(loss, `rank ${rank}`).toBeLessThan(report.base!.loss);
  expect(report.ranks.map(({ rank }) => rank)).toContain(report.bestRank);
  for (const file of ['adapter_config.json', 'adapter_model.safetensors'])
    expect(existsSync(join(files.adapter!, file)), file).toBe(true);
});
