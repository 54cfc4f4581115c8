/**
 * Step time and share of communication on 1 and 2 workers, on one host and on two, and what `simulateStep`
 * says of the same step from costs that were measured apart from it.
 *
 *     npm run bench workers [--steps 9] [--micro-batches 4] [--tokens 256] [--rank 64]
 *
 * Needs Open MPI or MPICH; two hosts need root (network namespaces and a relay with 1 Gbit/s and 5 ms a way).
 * Each worker trains the embedded base with one thread. Communication is the time within collectives, waiting
 * for the other worker included. Prints one JSON row for each.
 */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { recordRows } from '@qdylora/testing/bench';
import { installedLaunchers, launch, twoHosts, whyNoTwoHosts } from '@qdylora/testing/node';
import { simulateStep, type StepCosts } from './simulate-step.ts';

const { values } = parseArgs({
  options: {
    steps: { type: 'string', default: '9' },
    'micro-batches': { type: 'string', default: '4' },
    tokens: { type: 'string', default: '256' },
    rank: { type: 'string', default: '64' },
  },
});

export interface WorkerOrder {
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
  readonly communicationSeconds: number;
  readonly gradientElements: number;
  /** Packing, adding and writing back on one of two workers, without the link. */
  readonly secondsPerGradientByte: number;
}

const order: WorkerOrder = {
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

const runAlone = (changes: Partial<WorkerOrder> = {}): WorkerRow =>
  rowOf(execFileSync(process.execPath, wordsOf(changes), { encoding: 'utf8' }));

const alone = runAlone();
const half = runAlone({ microBatches: order.microBatches / 2 });
/** Two runs that differ in their micro batches alone give the cost of one, and of the rest. */
const passSeconds = (alone.stepSeconds - half.stepSeconds) / (order.microBatches / 2);
const updateSeconds = Math.max(0, alone.stepSeconds - order.microBatches * passSeconds);
const gradientBytes = 4 * alone.gradientElements;

function print(where: string, workers: number, row: WorkerRow, costs: StepCosts | null): void {
  const rounded = (value: number): number => Number(value.toPrecision(3));
  const simulated =
    costs && simulateStep(costs, { workers, microBatches: order.microBatches, gradientBytes });
  const line = {
    where,
    workers,
    'step ms': rounded(1000 * row.stepSeconds),
    'communication ms': rounded(1000 * row.communicationSeconds),
    share: rounded(row.communicationSeconds / row.stepSeconds),
    'latency ms': workers > 1 ? rounded(1000 * row.latencySeconds) : null,
    'MB/s': workers > 1 ? rounded(row.bytesPerSecond / 1e6) : null,
    'gradient MB': rounded(gradientBytes / 1e6),
    'simulated ms': simulated && rounded(1000 * simulated.seconds),
    'simulated / measured': simulated && rounded(simulated.seconds / row.stepSeconds),
  };
  console.log(JSON.stringify(line));
  recordRows([line]);
}

const costsOn = ({ latencySeconds, bytesPerSecond, secondsPerGradientByte }: WorkerRow): StepCosts => ({
  passSeconds,
  updateSeconds,
  secondsPerGradientByte,
  latencySeconds,
  bytesPerSecond,
  spread: 0,
});

print('no launcher', 1, alone, null);
for (const launcher of installedLaunchers()) {
  const one = rowOf((await launch(launcher, 1, wordsOf())).output);
  print(`${launcher.name}, one host`, 1, one, costsOn(one));
  const two = rowOf((await launch(launcher, 2, wordsOf())).output);
  print(`${launcher.name}, one host`, 2, two, costsOn(two));
}
const reason = whyNoTwoHosts();
if (reason) console.log(`skipped: two hosts (${reason})`);
else {
  using hosts = await twoHosts({ megabitsPerSecond: 1000, delayMilliseconds: 5 });
  const row = rowOf((await hosts.launch(1, wordsOf()).outcome).output);
  print('Open MPI, two hosts, 1 Gbit/s, 10 ms', 2, row, costsOn(row));
}
