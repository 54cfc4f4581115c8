/**
 * What computing in bf16 does to training: two runs of `qdylora train` on the same rows with the same seed,
 * in f32 and in bf16, and how far their losses lie apart.
 *
 *     npm run bench compute-dtype -- --model ../smollm2 [--steps 50] [--dataset
 *     examples/demo/gsm8k-train.jsonl] [--eval-dataset examples/demo/gsm8k-test.jsonl] [--limit 0.005]
 *
 * The loss of a step swings with its rows and its rank, which are the same in both runs, so steps are
 * compared one by one: the mean over the last ten of |bf16 / f32 − 1|, and the held-out loss of every rank at
 * the end. Fails above the limit.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { recordRows } from '@qdylora/testing/bench';

const root = fileURLToPath(new URL('..', import.meta.url));
const { values } = parseArgs({
  options: {
    model: { type: 'string' },
    steps: { type: 'string', default: '50' },
    limit: { type: 'string', default: '0.005' },
    seed: { type: 'string', default: '3' },
    dataset: { type: 'string', default: join(root, 'examples/demo/gsm8k-train.jsonl') },
    'eval-dataset': { type: 'string', default: join(root, 'examples/demo/gsm8k-test.jsonl') },
  },
});
if (!values.model) throw new TypeError('expected --model FOLDER');

interface Run {
  readonly losses: readonly number[];
  readonly heldOut: ReadonlyMap<number, number>;
  readonly seconds: number;
}

function train(dtype: 'f32' | 'bf16', folder: string): Run {
  const output = join(folder, dtype);
  const start = performance.now();
  const { status } = spawnSync(
    process.execPath,
    [
      '--conditions=source',
      '--import',
      'tsx',
      join(root, 'packages/qdylora/src/main.ts'),
      'train',
      '--model',
      values.model!,
      '--dataset',
      values.dataset,
      '--eval-dataset',
      values['eval-dataset'],
      '--output-dir',
      output,
      '--compute-dtype',
      dtype,
      '--max-steps',
      values.steps,
      '--seed',
      values.seed,
      '--max-seq-length',
      '256',
      '--micro-batch-size',
      '2',
      '--gradient-accumulation-steps',
      '2',
    ],
    { cwd: root, stdio: ['ignore', 2, 2] },
  );
  if (status !== 0) throw new Error(`qdylora train ended with ${status}`);
  const events = readFileSync(join(output, 'events.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { type: string; loss?: number });
  const report = JSON.parse(readFileSync(join(output, 'report.json'), 'utf8')) as {
    ranks: readonly { rank: number; loss: number }[];
  };
  return {
    losses: events.filter(({ type }) => type === 'step').map(({ loss }) => loss!),
    heldOut: new Map(report.ranks.map(({ rank, loss }) => [rank, loss])),
    seconds: (performance.now() - start) / 1000,
  };
}

const folder = mkdtempSync(join(tmpdir(), 'qdylora-dtype-'));
try {
  const f32 = train('f32', folder);
  const bf16 = train('bf16', folder);
  const limit = Number(values.limit);
  const apart = bf16.losses.map((loss, i) => Math.abs(loss / f32.losses[i] - 1));
  const last = apart.slice(-10);
  const mean = last.reduce((sum, x) => sum + x, 0) / last.length;
  const percent = (x: number): string => `${(100 * x).toFixed(3)} %`;
  console.log(
    `last ${last.length} of ${apart.length} steps: ${percent(mean)} apart on average, ` +
      `${percent(Math.max(...last))} at most (f32 ${f32.losses.at(-1)!.toFixed(4)}, bf16 ` +
      `${bf16.losses.at(-1)!.toFixed(4)})`,
  );
  const ranks = [...f32.heldOut].map(([rank, loss]) => ({
    rank,
    loss,
    other: bf16.heldOut.get(rank)!,
    apart: Math.abs(bf16.heldOut.get(rank)! / loss - 1),
  }));
  for (const { rank, loss, other, apart: of } of ranks)
    console.log(
      `rank ${String(rank).padStart(3)} held-out loss f32 ${loss.toFixed(4)}, bf16 ${other.toFixed(4)}: ` +
        `${percent(of)} apart`,
    );
  recordRows([
    { case: `last ${last.length} of ${apart.length} steps, mean`, 'apart %': 100 * mean },
    ...ranks.map(({ rank, loss, other, apart: of }) => ({
      case: `rank ${rank}, held out`,
      'loss f32': loss,
      'loss bf16': other,
      'apart %': 100 * of,
    })),
  ]);
  console.log(`${f32.seconds.toFixed(0)} s in f32, ${bf16.seconds.toFixed(0)} s in bf16`);
  if (mean > limit || ranks.some(({ apart: of }) => of > limit)) {
    console.error(`further apart than ${percent(limit)}`);
    process.exitCode = 1;
  }
} finally {
  rmSync(folder, { recursive: true });
}
