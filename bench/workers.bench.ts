/**
 * Step time and share of communication on 1 and 2 workers, on one host and on two, and what `simulateStep`
 * says of the same step from costs that were measured apart from it.
 *
 *     npm run bench workers -- [--repeats 3] [--steps 9] [--micro-batches 4] [--tokens 256] [--rank 64]
 *         [--model FOLDER]
 *
 * Needs Open MPI or MPICH; two hosts need root (network namespaces and a relay with 1 Gbit/s and 5 ms a way).
 * Each worker trains the embedded base, or the model of the folder, with one thread. Communication is the
 * time within collectives, waiting for the other worker included.
 *
 * A pass of one worker of two is timed in two processes that run at once and do not talk: they share caches
 * and, on this machine, one physical core. All runs are repeated in turns. A row has medians over the
 * repeats; `range` is the largest less the smallest step time, as a share of the median.
 */
import { execFile } from 'node:child_process';
import { loadavg } from 'node:os';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { recordRows } from '@qdylora/testing/bench';
import { installedLaunchers, launch, twoHosts, whyNoTwoHosts } from '@qdylora/testing/node';
import { median } from './median.mjs';
import { simulateStep, type StepCosts } from './simulate-step.ts';

const { values } = parseArgs({
  options: {
    repeats: { type: 'string', default: '3' },
    steps: { type: 'string', default: '9' },
    'micro-batches': { type: 'string', default: '4' },
    tokens: { type: 'string', default: '256' },
    rank: { type: 'string', default: '64' },
    model: {
      type: 'string',
      default: fileURLToPath(new URL('../packages/embedded-base/model', import.meta.url)),
    },
  },
});

export interface WorkerOrder {
  /** Its folder. */
  readonly model: string;
  readonly steps: number;
  readonly microBatches: number;
  readonly tokens: number;
  readonly rank: number;
}

/** What an exchange costs. */
export interface LinkCosts {
  readonly latencySeconds: number;
  readonly bytesPerSecond: number;
}

export interface WorkerRow extends LinkCosts {
  readonly stepSeconds: number;
  /** Standard deviation of the steps, as a share. */
  readonly spread: number;
  readonly communicationSeconds: number;
  readonly gradientElements: number;
  /** Packing, adding and writing back on one of two workers, without the link. */
  readonly secondsPerGradientByte: number;
}

const order: WorkerOrder = {
  model: values.model,
  steps: Number(values.steps),
  microBatches: Number(values['micro-batches']),
  tokens: Number(values.tokens),
  rank: Number(values.rank),
};

const WORKER = fileURLToPath(new URL('workers.worker.ts', import.meta.url));
const wordsOf = (changes: Partial<WorkerOrder> = {}): string[] => [
  '--conditions=source',
  '--import',
  'tsx',
  WORKER,
  JSON.stringify({ ...order, ...changes }),
];

/** The row that worker 0 prints. */
function rowOf(output: string): WorkerRow {
  const line = output.split('\n').find((each) => each.startsWith('{'));
  if (!line) throw new Error(`The workers printed no row: ${output}`);
  return JSON.parse(line) as WorkerRow;
}

async function runAlone(changes: Partial<WorkerOrder> = {}): Promise<WorkerRow> {
  const { stdout } = await promisify(execFile)(process.execPath, wordsOf(changes));
  return rowOf(stdout);
}

/** What the passes of a process cost that runs with `others` more that do the same. */
type PassCosts = Pick<StepCosts, 'passSeconds' | 'updateSeconds' | 'spread'>;

/** Two runs that differ in their micro batches alone give the cost of one, and of the rest. */
async function passCosts(others: number): Promise<PassCosts & { readonly row: WorkerRow }> {
  const together = (changes: Partial<WorkerOrder>): Promise<WorkerRow[]> =>
    Promise.all(Array.from({ length: 1 + others }, () => runAlone(changes)));
  const mean = (rows: readonly WorkerRow[], key: 'stepSeconds' | 'spread'): number =>
    rows.reduce((sum, row) => sum + row[key], 0) / rows.length;
  const { microBatches } = order;
  const whole = await together({});
  const half = await together({ microBatches: microBatches / 2 });
  const passSeconds = (mean(whole, 'stepSeconds') - mean(half, 'stepSeconds')) / (microBatches / 2);
  const updateSeconds = Math.max(0, mean(whole, 'stepSeconds') - microBatches * passSeconds);
  return { passSeconds, updateSeconds, spread: mean(whole, 'spread'), row: whole[0] };
}

interface Measured {
  readonly workers: number;
  readonly row: WorkerRow;
  /** Null where nothing is simulated. */
  readonly passes: PassCosts | null;
  readonly simulatedSeconds: number | null;
}

/** Of each repeat, by what was measured. */
const measured = new Map<string, Measured[]>();

function note(where: string, workers: number, row: WorkerRow, passes: PassCosts | null): void {
  const { latencySeconds, bytesPerSecond, secondsPerGradientByte } = row;
  const simulated =
    passes &&
    simulateStep(
      { ...passes, latencySeconds, bytesPerSecond, secondsPerGradientByte },
      { workers, microBatches: order.microBatches, gradientBytes: 4 * row.gradientElements },
    );
  const name = `${where}, ${workers}`;
  const simulatedSeconds = simulated && simulated.seconds;
  measured.set(name, [...(measured.get(name) ?? []), { workers, row, passes, simulatedSeconds }]);
}

async function measureAll(): Promise<void> {
  const alone = await passCosts(0);
  const beside = await passCosts(1);
  note('no launcher', 1, alone.row, null);
  for (const launcher of installedLaunchers()) {
    const run = async (count: number): Promise<WorkerRow> =>
      rowOf((await launch(launcher, count, wordsOf())).output);
    note(launcher.name, 1, await run(1), alone);
    note(launcher.name, 2, await run(2), beside);
  }
  const reason = whyNoTwoHosts();
  if (reason) return console.log(`skipped: two hosts (${reason})`);
  using hosts = await twoHosts({ megabitsPerSecond: 1000, delayMilliseconds: 5 });
  const row = rowOf((await hosts.launch(1, wordsOf()).outcome).output);
  note('Open MPI, two hosts, 1 Gbit/s, 10 ms', 2, row, beside);
}

for (let repeat = 0; repeat < Number(values.repeats); repeat++) await measureAll();

const rounded = (value: number): number => Number(value.toPrecision(3));
const rows = [...measured].map(([where, repeats]) => {
  const middle = (pick: (one: Measured) => number): number => rounded(median(repeats.map(pick)));
  const isShared = repeats[0].workers > 1;
  const steps = repeats.map(({ row }) => row.stepSeconds);
  const isSimulated = repeats[0].simulatedSeconds !== null;
  return {
    model: basename(order.model.replace(/\/model$/, '')),
    'where, workers': where,
    'step ms': middle(({ row }) => 1000 * row.stepSeconds),
    range: steps.length > 1 ? rounded((Math.max(...steps) - Math.min(...steps)) / median(steps)) : null,
    'communication ms': middle(({ row }) => 1000 * row.communicationSeconds),
    share: middle(({ row }) => row.communicationSeconds / row.stepSeconds),
    'pass ms': isSimulated ? middle(({ passes }) => 1000 * passes!.passSeconds) : null,
    'update ms': isSimulated ? middle(({ passes }) => 1000 * passes!.updateSeconds) : null,
    'adding ns/B': isShared ? middle(({ row }) => 1e9 * row.secondsPerGradientByte) : null,
    'latency ms': isShared ? middle(({ row }) => 1000 * row.latencySeconds) : null,
    'MB/s': isShared ? middle(({ row }) => row.bytesPerSecond / 1e6) : null,
    'gradient MB': middle(({ row }) => (4 * row.gradientElements) / 1e6),
    'simulated ms': isSimulated ? middle(({ simulatedSeconds }) => 1000 * simulatedSeconds!) : null,
    'simulated / measured': isSimulated
      ? middle(({ row, simulatedSeconds }) => simulatedSeconds! / row.stepSeconds)
      : null,
  };
});
for (const row of rows) console.log(JSON.stringify(row));
console.log(`load: ${loadavg().map(rounded).join(' ')}`);
recordRows(rows);
