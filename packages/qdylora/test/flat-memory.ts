import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { finetune } from '../src/index.ts';
import { writeTinyModel, writeTinyRows } from './tiny-files.ts';

/**
 * Does a run's memory grow with its steps? Trains a tiny model for so many steps in this process, with
 * everything on that a run has (evaluation, checkpoints, a paged 8-bit optimizer, recomputation), and looks
 * at resident memory at 100 moments, garbage collected. Prints the median slope over the second
 * half as JSON: in the first half V8 compiles what has become hot.
 *
 *     node --expose-gc --max-semi-space-size=1 --conditions=source --import tsx \
 *         test/flat-memory.ts [steps, 10000]
 */
const steps = Number(process.argv[2] ?? 10_000);
const every = Math.max(1, Math.round(steps / 100));
const folder = mkdtempSync(join(tmpdir(), 'qdylora-flat-'));

/**
 * Anonymous memory of the process: pages of program files come and go as the system likes. Where there is no
 * /proc, all that is resident.
 */
function residentBytes(): number {
  globalThis.gc!();
  try {
    return 1024 * Number(/^RssAnon:\s+(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))![1]);
  } catch {
    return process.memoryUsage.rss();
  }
}

/**
 * The median of the slopes between all pairs of points (Theil and Sen): a heap that once grows or shrinks by
 * megabytes says nothing.
 */
function medianSlope(points: readonly (readonly [x: number, y: number])[]): number {
  const slopes = points
    .flatMap(([x, y], i) => points.slice(i + 1).map(([x2, y2]) => (y2 - y) / (x2 - x)))
    .sort((a, b) => a - b);
  return slopes[Math.floor(slopes.length / 2)];
}

try {
  const points: [step: number, bytes: number][] = [];
  const run = finetune({
    model: writeTinyModel(join(folder, 'model')),
    dataset: writeTinyRows(join(folder, 'rows.jsonl')),
    valSetSize: 4,
    ranks: [1, 2, 4],
    quantization: 'nf4',
    optimizer: 'paged_adamw_8bit',
    optimizerMemoryBudget: '64KiB',
    gradientCheckpointing: true,
    loraDropout: 0.1,
    microBatchSize: 2,
    maxSteps: steps,
    evalSteps: Math.round(steps / 30),
    saveSteps: Math.round(steps / 30),
    outputDir: join(folder, 'run'),
    numThreads: 1,
  });
  for await (const event of run)
    if (event.type === 'step' && event.step % every === 0) points.push([event.step, residentBytes()]);
  const late = points.slice(Math.floor(points.length / 2));
  const bytes = late.map(([, residentAt]) => residentAt);
  const slope = medianSlope(late);
  process.stdout.write(
    JSON.stringify({
      steps,
      resident_bytes: bytes.at(-1)!,
      bytes_per_step: slope,
      grown_bytes: slope * steps,
      least_bytes: Math.min(...bytes),
      most_bytes: Math.max(...bytes),
    }),
  );
} finally {
  rmSync(folder, { recursive: true, force: true });
}
