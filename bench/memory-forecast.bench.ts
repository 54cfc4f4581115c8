/**
 * What `qdylora train` says that it will need, against what its process then had at most (VmHWM, from start
 * to last file), in unlike configurations.
 *
 *     npm run bench memory-forecast -- --model ../smollm2 [--within 5] [--steps 3]
 *
 * Runs the built command on rows of text that it makes up. Prints one JSON row each; ends with 1 where a
 * forecast is off by more than `--within` percent.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { recordRows } from '@qdylora/testing/bench';

const { values } = parseArgs({
  options: {
    model: { type: 'string' },
    within: { type: 'string', default: '5' },
    steps: { type: 'string', default: '3' },
  },
});
const command = fileURLToPath(new URL('../packages/qdylora/bin/qdylora.js', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'qdylora-forecast-'));
const rows = join(folder, 'rows.jsonl');

const CONFIGURATIONS = {
  'bf16, recomputed, r 64, 4 × 512, AdamW 32-bit': [
    '--compute-dtype',
    'bf16',
    '--max-seq-length',
    '512',
    '--micro-batch-size',
    '4',
    '--lora-r',
    '64',
  ],
  'f32, activations kept, r 8, 2 × 128, AdamW 32-bit, rows held out': [
    '--compute-dtype',
    'f32',
    '--max-seq-length',
    '128',
    '--micro-batch-size',
    '2',
    '--lora-r',
    '8',
    '--gradient-checkpointing',
    'false',
    '--val-set-size',
    '4',
  ],
  'bf16, recomputed, r 16, 2 × 256, paged AdamW 8-bit of 4 MiB': [
    '--compute-dtype',
    'bf16',
    '--max-seq-length',
    '256',
    '--micro-batch-size',
    '2',
    '--lora-r',
    '16',
    '--optimizer',
    'paged_adamw_8bit',
    '--optimizer-memory-budget',
    '4MiB',
  ],
  'f32, recomputed, r 16, packed to 2 × 1024, each step cut in two': [
    '--compute-dtype',
    'f32',
    '--max-seq-length',
    '1024',
    '--micro-batch-size',
    '2',
    '--gradient-accumulation-steps',
    '1',
    '--lora-r',
    '16',
    '--packing',
  ],
};

/** The two numbers as the command tells a person, to three digits. */
function toldBy(
  flags: readonly string[],
  outputDir: string,
): { readonly forecast: number; readonly needed: number } {
  const told = execFileSync(
    '/bin/sh',
    [
      '-c',
      '"$0" "$@" 2>&1 >/dev/null',
      process.execPath,
      command,
      'train',
      '--model',
      values.model!,
      '--dataset',
      rows,
      '--max-steps',
      values.steps,
      '--output-dir',
      outputDir,
      ...flags,
    ],
    { encoding: 'utf8' },
  );
  const bytes = (text: string | undefined, unit: string | undefined): number =>
    Number(text) * (unit === 'GB' ? 1e9 : 1e6);
  const [, needed, unit, forecast, its] =
    /peak ([\d.]+) (MB|GB) \(the forecast, ([\d.]+) (MB|GB)/.exec(told) ?? [];
  return { forecast: bytes(forecast, its), needed: bytes(needed, unit) };
}

try {
  if (!values.model) throw new Error('name a model: --model ../smollm2');
  writeFileSync(
    rows,
    Array.from({ length: 64 }, (_, row) =>
      JSON.stringify({
        text: Array.from(
          { length: 30 + ((row * 97) % 600) },
          (__, at) => `word${(row * 31 + at * 7) % 97}`,
        ).join(' '),
      }),
    ).join('\n'),
  );
  let worst = 0;
  for (const [index, [configuration, flags]] of Object.entries(CONFIGURATIONS).entries()) {
    const { forecast, needed } = toldBy(flags, join(folder, `run${index}`));
    const offPercent = 100 * (forecast / needed - 1);
    worst = Math.max(worst, Number.isNaN(offPercent) ? Infinity : Math.abs(offPercent));
    const row = {
      configuration,
      forecast_mb: forecast / 1e6,
      needed_mb: needed / 1e6,
      off_percent: Number(offPercent.toFixed(1)),
    };
    console.log(JSON.stringify(row));
    recordRows([row]);
  }
  console.log(`off by at most ${worst.toFixed(1)} %`);
  if (worst > Number(values.within)) process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
