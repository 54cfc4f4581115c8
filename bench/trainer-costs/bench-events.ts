import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { recordRows } from '@qdylora/testing/bench';
import { finetune } from 'qdylora';
import { median } from '../median.mjs';
import { COST_OPTIONS } from './cost-options.ts';
import { milliseconds } from './report-ratio.ts';

/** Log, TensorBoard and a reader: the share of a run's wall time that lies outside of its steps. */
export async function benchEvents(): Promise<void> {
  const folder = mkdtempSync(join(COST_OPTIONS.scratch, 'qdylora-events-'));
  const dataset = join(folder, 'rows.jsonl');
  const ends: number[] = [];
  const inSteps: number[] = [];
  const steps = 3 * COST_OPTIONS.steps;
  writeFileSync(dataset, Array.from({ length: 64 }, (_, row) => rowText(row)).join(''));
  try {
    let read = 0;
    const run = finetune({
      model: COST_OPTIONS.model,
      dataset,
      outputDir: join(folder, 'run'),
      maxSteps: steps,
      microBatchSize: COST_OPTIONS.rows,
      gradientAccumulationSteps: 1,
      maxSeqLength: COST_OPTIONS.length,
      saveSteps: 0,
      reportTo: ['tensorboard'],
      numThreads: COST_OPTIONS.threads,
      onStep({ stepSeconds }) {
        ends.push(performance.now() / 1000);
        inSteps.push(stepSeconds);
      },
    });
    for await (const event of run) if (event.type === 'step') read++;
    await run.result;
    const lines = readFileSync(join(folder, 'run', 'events.jsonl'), 'utf8')
      .split('\n')
      .filter((line) => line.startsWith('{"type":"step"')).length;
    if (read !== steps || lines !== steps)
      throw new Error(`expected ${steps} steps read and logged, got ${read} and ${lines}`);
    const outside = ends.slice(1).map((end, i) => end - ends[i] - inSteps[i + 1]);
    const step = median(inSteps.slice(1));
    recordRows([
      {
        what: 'events and callbacks between two steps',
        ms: 1000 * median(outside),
        ratio: median(outside) / step,
      },
    ]);
    console.log(
      `\nevents: ${steps} steps with events.jsonl, TensorBoard, callbacks and a reader; between two steps ` +
        `${milliseconds(median(outside))} (worst ${milliseconds(Math.max(...outside))}) in steps of ` +
        `${milliseconds(step)}: ${((100 * median(outside)) / step).toFixed(3)} %`,
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** One row of the data set, as a line of JSON. */
function rowText(row: number): string {
  const ids = Array.from({ length: COST_OPTIONS.length }, (_, t) => 3 + ((row * 131 + t * 31) % 4000));
  return `${JSON.stringify({ input_ids: ids })}\n`;
}
