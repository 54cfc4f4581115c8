// A sweep without a cluster manager of ours: Slurm runs each configuration as a task of one array.
//   npx tsx examples/slurm-sweep.ts submit sweep.json    # sbatch --array, one task for each configuration
//   npx tsx examples/slurm-sweep.ts run sweep.json       # what a task runs; SLURM_ARRAY_TASK_ID says which
//   npx tsx examples/slurm-sweep.ts join sweep.json      # the reports of all tasks as one table
// sweep.json: { "outputDir": "runs/sweep", "base": { "model": …, "dataset": … },
//   "grid": { "learningRate": [1e-4, 2e-4], "loraAlpha": [16, 32] }, "sbatch": ["--time=4:00:00"] }
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { finetune, type FinetuneOptions } from 'qdylora';

interface Sweep {
  /** Task n writes into the folder n of it. */
  readonly outputDir: string;
  /** Options that all runs share, as of `finetune`. */
  readonly base: FinetuneOptions;
  /** Values of the options that differ: every combination is a run. */
  readonly grid: Readonly<Record<string, readonly unknown[]>>;
  /** Further flags of sbatch: time, memory, partition, `--array` limits. */
  readonly sbatch?: readonly string[];
}

type Changes = Readonly<Record<string, unknown>>;

/** Every combination of the grid, the last option changing fastest. */
export const configurationsOf = ({ grid }: Sweep): Changes[] =>
  Object.entries(grid).reduce<Changes[]>(
    (runs, [option, values]) => runs.flatMap((run) => values.map((value) => ({ ...run, [option]: value }))),
    [{}],
  );

const readSweep = (file: string): Sweep => JSON.parse(readFileSync(file, 'utf8')) as Sweep;

/** Submits one task for each configuration. A task that is requeued goes on from its checkpoint. */
function submit(file: string): void {
  const sweep = readSweep(file);
  const last = configurationsOf(sweep).length - 1;
  const words = [process.execPath, ...process.execArgv, process.argv[1], 'run', file];
  const command = words.map((word) => `'${word}'`).join(' ');
  const flags = [`--array=0-${last}`, '--requeue', ...(sweep.sbatch ?? []), `--wrap=${command}`];
  process.exitCode = spawnSync('sbatch', flags, { stdio: 'inherit' }).status ?? 1;
}

async function run(file: string, task: string | undefined): Promise<void> {
  const sweep = readSweep(file);
  const changes = configurationsOf(sweep)[Number(task ?? NaN)];
  if (!changes) throw new Error(`SLURM_ARRAY_TASK_ID (${task}) is not the number of a configuration.`);
  const outputDir = join(sweep.outputDir, task!);
  await finetune({ ...sweep.base, ...changes, outputDir, resumeFromCheckpoint: 'auto' }).result;
}

/** What the table shows of a `report.json`. */
interface SavedReport {
  readonly best_rank: number | null;
  readonly aurac: number | null;
  readonly ranks: readonly {
    readonly rank: number;
    readonly loss: number;
    readonly standard_error: number;
  }[];
}

interface JoinedRow {
  readonly task: number;
  readonly changes: Changes;
  /** null: the task has not ended well. */
  readonly report: SavedReport | null;
}

/** The reports of all tasks, the lowest held-out loss first; tasks without one are last. */
export function joinReports(sweep: Sweep): JoinedRow[] {
  const rows = configurationsOf(sweep).map((changes, task): JoinedRow => {
    const path = join(sweep.outputDir, String(task), 'report.json');
    const report = existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as SavedReport) : null;
    return { task, changes, report };
  });
  const lossOf = ({ report }: JoinedRow): number => bestRow(report)?.loss ?? Infinity;
  return rows.sort((a, b) => lossOf(a) - lossOf(b) || a.task - b.task);
}

const bestRow = (report: SavedReport | null) => report?.ranks.find(({ rank }) => rank === report.best_rank);

export function tableOf(rows: readonly JoinedRow[]): string {
  const options = Object.keys(rows[0]?.changes ?? {});
  const line = (cells: readonly unknown[]): string => `| ${cells.join(' | ')} |`;
  const header = ['task', ...options, 'best rank', 'held-out loss', 'standard error', 'AURAC'];
  const cellsOf = ({ report }: JoinedRow): string[] => {
    const best = bestRow(report);
    if (!report || !best) return ['no report', '', '', ''];
    const numbers = [best.loss, best.standard_error, report.aurac ?? NaN].map((value) => value.toFixed(4));
    return [String(best.rank), ...numbers];
  };
  return [
    line(header),
    line(header.map(() => '---')),
    ...rows.map((row) =>
      line([row.task, ...options.map((option) => JSON.stringify(row.changes[option])), ...cellsOf(row)]),
    ),
  ].join('\n');
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const [verb, file = 'sweep.json'] = process.argv.slice(2);
  if (verb === 'submit') submit(file);
  else if (verb === 'run') await run(file, process.env.SLURM_ARRAY_TASK_ID);
  else if (verb === 'join') console.log(tableOf(joinReports(readSweep(file))));
  else throw new Error(`The verb must be submit, run or join (got ${verb}).`);
}
