import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createHostBackend } from '@qdylora/contract';
import { expect, test } from 'vitest';
import { ownTrainer } from './own-trainer.ts';
import { tinyRun } from './test-support/tiny-run.ts';

test('a trainer of the packages beats the base at every rank, and exports the best for PEFT', async () => {
  using tiny = tinyRun();
  const outputDir = join(tiny.folder, 'best');
  const backend = createHostBackend();
  const report = await ownTrainer({
    model: tiny.model,
    dataset: tiny.dataset,
    outputDir,
    backend,
    steps: 24,
    heldOut: 8,
    learningRate: 1e-2,
  });
  expect(report.ranks.map(({ rank }) => rank)).toEqual([1, 2, 4, 8, 16, 32, 64]);
  for (const { rank, loss } of report.ranks) expect(loss, `rank ${rank}`).toBeLessThan(report.base!.loss);
  expect(existsSync(join(outputDir, 'adapter_model.safetensors'))).toBe(true);
  expect(JSON.parse(readFileSync(join(outputDir, 'adapter_config.json'), 'utf8'))).toMatchObject({
    peft_type: 'LORA',
    r: report.bestRank,
  });
});
