import { spawn } from 'node:child_process';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createRng } from '@qdylora/contract';
import { watchLaunch, workerProcesses, type MpiLauncher } from '@qdylora/testing/node';
import { fillDisk } from './fill-disk.ts';
import { compareLeftovers, leftoversOf, noteKill, type Damage, type Leftovers } from './leftovers.ts';

const COMMAND = fileURLToPath(new URL('../../bin/qdylora.js', import.meta.url));

/**
 * What happens to a worker: it is killed, asked to stop (SIGTERM), or killed while the disk of the run's
 * folder is full.
 */
export type Fault = 'SIGKILL' | 'SIGTERM' | 'full disk';

export interface WorkerFaultOptions {
  readonly model: string;
  readonly dataset: string;
  /** For the folders of the runs. `full disk` needs a small disk of its own: it is filled. */
  readonly scratch: string;
  readonly launchers: readonly MpiLauncher[];
  readonly faults: readonly Fault[];
  /** Numbers of workers, of which each start has one. */
  readonly counts: readonly number[];
  readonly kills: number;
  readonly seed: number;
  /** The report of a call with the same options that was cut: its faults count, and this call goes on. */
  readonly earlier?: WorkerFaultReport;
  readonly onProgress?: (so: WorkerFaultReport) => void;
}

/** What became of the faults of one kind under one launcher. */
export interface FaultRow {
  faults: number;
  /** From the fault to the end of the launcher and of all workers. */
  readonly seconds: number[];
  /** Faults whose worker the output names. */
  named: number;
  /** Workers with an error of their own, over all faults. */
  errors: number;
}

export interface WorkerFaultReport extends Damage {
  /** By `launcher, fault`. */
  readonly rows: Record<string, FaultRow>;
  /** Sentences: runs that did not end, and processes that were left. */
  readonly hanging: string[];
  /** What runs printed that failed without a fault. */
  readonly crashes: string[];
}

/** From a fault to the end of all; the machine may be busy with other work. */
const MOST_SECONDS = 60;

/**
 * Trains on several workers (`qdylora launch`) and does something to one of them at a random instant, resumes
 * on another number of workers, again and again. After each fault: have all workers ended soon, is every
 * checkpoint whole, and is every save that was acknowledged still there? After each run that ends: has it the
 * bytes of one that nobody disturbed?
 */
export async function killWorkers(options: WorkerFaultOptions): Promise<WorkerFaultReport> {
  const { scratch, kills, seed, launchers, faults, counts } = options;
  const report = options.earlier ?? emptyReport();
  const rng = createRng(seed).named('faults');
  const draw = <T>(list: readonly T[], place: number): T =>
    list[Math.floor(rng.uniform(report.kills, place + 4 * report.runs) * list.length)];
  const whole = await undisturbed(launchers, options);
  for (let round = 0; report.kills < kills; round++) {
    const folder = join(scratch, `run-${round}`);
    for (let isOver = false; !isOver && report.kills < kills;) {
      const launcher = draw(launchers, 0);
      const count = draw(counts, 1);
      const fault = draw(faults, 2);
      const afterMilliseconds = rng.uniform(report.kills, 3 + 4 * report.runs) * whole.milliseconds;
      const at = `fault ${report.kills + 1}, ${fault} on ${launcher.name}, ${count} workers`;
      const outcome = await disturb(wordsOf(folder, options), {
        launcher,
        count,
        fault,
        afterMilliseconds,
        folder,
        scratch,
        rank: Math.floor(rng.uniform(report.kills, 90) * count),
      });
      ({ isOver } = outcome);
      if (isOver) compareLeftovers(lastingOf(folder), whole.leftovers, `run ${report.runs + 1}`, report);
      else if (outcome.isCrash) report.crashes.push(`${at}: ${outcome.output.slice(-2000)}`);
      else {
        noteKill(folder, at, report);
        noteFault(outcome, `${launcher.name}, ${fault}`, at, report);
      }
      options.onProgress?.(report);
    }
    rmSync(folder, { recursive: true, force: true });
  }
  return report;
}

const emptyReport = (): WorkerFaultReport => ({
  kills: 0,
  killsInSaves: 0,
  runs: 0,
  rows: {},
  hanging: [],
  crashes: [],
  corrupt: [],
  lost: [],
  different: [],
});

/** Writes the run, and returns the words after `launch`. */
function wordsOf(folder: string, { model, dataset, scratch }: WorkerFaultOptions): string[] {
  const file = join(scratch, 'run.yaml');
  const keys = {
    ...{ model, dataset, val_set_size: 4, ranks: '[1, 16, 64]', lora_dropout: 0.2, learning_rate: 0.01 },
    ...{ micro_batch_size: 2, gradient_accumulation_steps: 4, num_threads: 1 },
    ...{ max_steps: 12, save_steps: 2, eval_steps: 6 },
  };
  if (!existsSync(file))
    writeFileSync(
      file,
      Object.entries(keys)
        .map(([key, value]) => `${key}: ${value}\n`)
        .join(''),
    );
  return [file, '--', '--resume-from-checkpoint', 'auto', '--output-dir', folder];
}

/** The result. A worker that is asked to stop saves a step that is not due, so other checkpoints differ. */
const lastingOf = (folder: string): Leftovers =>
  Object.fromEntries(
    Object.entries(leftoversOf(folder)).filter(([name]) => !/^checkpoints\/step-(?!12\b)/.test(name)),
  );

interface Undisturbed {
  readonly leftovers: Leftovers;
  /** From start to end, the longest of all launchers. */
  readonly milliseconds: number;
}

async function undisturbed(
  launchers: readonly MpiLauncher[],
  options: WorkerFaultOptions,
): Promise<Undisturbed> {
  const folder = join(options.scratch, 'whole');
  let milliseconds = 0;
  let leftovers: Leftovers = {};
  for (const launcher of launchers) {
    const outcome = await disturb(wordsOf(folder, options), {
      launcher,
      count: options.counts[0],
      fault: null,
      rank: 0,
      afterMilliseconds: 0,
      folder,
      scratch: options.scratch,
    });
    if (!outcome.isOver) throw new Error(`A run that nobody disturbs must end: ${outcome.output}`);
    leftovers = lastingOf(folder);
    milliseconds = Math.max(milliseconds, outcome.seconds * 1000);
    rmSync(folder, { recursive: true });
  }
  return { leftovers, milliseconds };
}

interface Disturbance {
  readonly launcher: MpiLauncher;
  readonly count: number;
  readonly fault: Fault | null;
  /** The worker that it happens to. */
  readonly rank: number;
  /** After the start. */
  readonly afterMilliseconds: number;
  readonly folder: string;
  readonly scratch: string;
}

interface FaultOutcome {
  /** It came to its end. */
  readonly isOver: boolean;
  /** It failed before the fault. */
  readonly isCrash: boolean;
  readonly output: string;
  /** From the fault, or from the start where there was none, to the end of launcher and workers. */
  readonly seconds: number;
  readonly isHanging: boolean;
  readonly rank: number;
  readonly count: number;
}

/** Runs the command on workers, and lets a fault happen to one of them. */
async function disturb(words: readonly string[], disturbance: Disturbance): Promise<FaultOutcome> {
  const { launcher, count, fault, rank, afterMilliseconds, folder, scratch } = disturbance;
  const launched = ['launch', '-n', String(count), '--launcher', launcher.command, ...words];
  const outcome = watchLaunch(
    spawn(process.execPath, [COMMAND, ...launched], {
      // workers that wait leave the processor to those that compute
      env: { ...process.env, OMPI_MCA_mpi_yield_when_idle: '1', OMPI_MCA_btl: 'sm,self' },
    }),
  );
  let start = performance.now();
  let didHappen = false;
  let disk: Disposable | null = null;
  const timer = setTimeout(() => {
    const worker = workerProcesses(folder).find((each) => each.rank === rank);
    if (!fault || !worker) return; // it starts just now, or has ended
    didHappen = true;
    if (fault === 'full disk') disk = fillDisk(scratch);
    start = performance.now();
    kill(worker.pid, fault === 'SIGTERM' ? 'SIGTERM' : 'SIGKILL');
  }, afterMilliseconds);
  const isHanging = await isLate(outcome, () => didHappen, start);
  clearTimeout(timer);
  if (isHanging) for (const { pid } of workerProcesses(folder)) kill(pid, 'SIGKILL');
  const { status, output } = await outcome;
  const isLeft = isHanging || !(await areGone(folder));
  const seconds = (performance.now() - start) / 1000;
  (disk as Disposable | null)?.[Symbol.dispose]();
  // a launcher may end with status 0 although a worker was killed
  const isOver = status === 0 && existsSync(join(folder, 'report.json'));
  const isCrash = !isOver && !didHappen;
  return { isOver, isCrash, output, seconds, isHanging: isLeft, rank, count };
}

/** Waits for the end. @returns true where it does not come in time after the fault */
async function isLate(closed: Promise<unknown>, didHappen: () => boolean, start: number): Promise<boolean> {
  let isClosed = false;
  void closed.then(() => (isClosed = true));
  let happenedAt = Infinity;
  for (;;) {
    if (isClosed) return false;
    const now = performance.now();
    if (didHappen()) happenedAt = Math.min(happenedAt, now);
    if (now - happenedAt > MOST_SECONDS * 1000 || now - start > 10 * MOST_SECONDS * 1000) return true;
    await new Promise((wake) => setTimeout(wake, 50));
  }
}

/** Whether no worker is left soon after its launcher has ended. */
async function areGone(folder: string): Promise<boolean> {
  for (let tries = 0; tries < 100; tries++) {
    if (workerProcesses(folder).length === 0) return true;
    await new Promise((wake) => setTimeout(wake, 100));
  }
  return false;
}

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // it has ended
  }
}

function noteFault(
  { output, seconds, isHanging, rank, count }: FaultOutcome,
  name: string,
  at: string,
  report: WorkerFaultReport,
): void {
  const row = (report.rows[name] ??= { faults: 0, seconds: [], named: 0, errors: 0 });
  row.faults++;
  row.seconds.push(seconds);
  // ours, or Open MPI's "rank 1 … exited on signal"
  const isNamed = new RegExp(`\\[worker ${rank} of ${count}|\\brank ${rank}\\b`, 'i').test(output);
  if (isNamed) row.named++;
  row.errors += new Set(Array.from(output.matchAll(/\[worker (\d+) of/g), ([, worker]) => worker)).size;
  if (isHanging) report.hanging.push(`${at}: some worker was still there after ${Math.round(seconds)} s`);
}

/** A report as a table in Markdown, and a line. */
export function faultTable(report: WorkerFaultReport): string {
  const { kills, killsInSaves, rows, hanging, crashes, corrupt, lost, runs, different } = report;
  const lines = Object.entries(rows)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, { faults, seconds, named, errors }]) => {
      const rising = seconds.toSorted((a, b) => a - b);
      const middle = rising[Math.floor(rising.length / 2)].toFixed(1);
      const longest = rising.at(-1)!.toFixed(1);
      return `| ${name} | ${faults} | ${middle} | ${longest} | ${named} | ${(errors / faults).toFixed(2)} |`;
    });
  return [
    '| launcher, fault | faults | s to the end of all, median | longest | worker named | errors of workers |',
    '| --- | ---: | ---: | ---: | ---: | ---: |',
    ...lines,
    '',
    `${kills} faults (${killsInSaves} left a half save): ${hanging.length} did not end, ` +
      `${crashes.length} failed before their fault, ${corrupt.length} corrupt checkpoints, ` +
      `${lost.length} acknowledged saves lost; ${runs} runs came to their end, ` +
      `${different.length} differences from undisturbed ones`,
  ].join('\n');
}
