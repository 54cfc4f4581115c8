import { execFile } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { temporaryPlace } from '../../test/tiny-model.ts';

const path = (name: string): string => fileURLToPath(new URL(`../../${name}`, import.meta.url)), isBuilt = existsSync(path('dist/train-worker.js')), folder = temporaryPlace();

/**
 * Of a small model Node is most of what there is, and 10 MB are the JavaScript of its steps, which vary by 10 MB from run to run: hence 10 %.
 * `bench/memory-forecast.bench.ts` is the same for SmolLM2-135M within 5 %.
 */
const WITHIN = 0.1;

it.for<[string, string[]]>([['with recomputation', []], ['with activations kept, at a small rank', ['--gradient-checkpointing', 'false', '--lora-r', '8']], ['in full training', ['--method', 'none']]])('train needs what it says that it will need, %s', { timeout: 120_000 }, async ([, flags], { skip }) => {
  skip(!isBuilt, 'packages/qdylora/dist is not built');
  const rows = folder.in('rows.jsonl'), outputDir = folder.in(`run${flags.length}`);
  writeFileSync(rows, Array.from({ length: 16 }, (__, row) => JSON.stringify({ text: Array.from({ length: 400 }, (___, at) => `word${(row * 31 + at * 7) % 97}`).join(' ') })).join('\n'));
  const { stderr } = await promisify(execFile)(process.execPath, [path('bin/qdylora.js'), 'train', '--model', path('../embedded-base/model'), '--dataset', rows, '--max-seq-length', '256', '--max-steps', '2', '--output-dir', outputDir, ...flags]);
  const [, needed, unit, forecast] = /needed ([\d.]+) (MB|GB) at most \(forecast ([\d.]+) \2/.exec(stderr) ?? [];
  expect([unit, Math.abs(Number(forecast) / Number(needed) - 1) < WITHIN], stderr).toEqual(['MB', true]);
});
