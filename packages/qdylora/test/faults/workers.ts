// `pnpm test:faults:workers [--kills 200] [--seed 1] [--faults SIGKILL,SIGTERM,full disk] [--counts 2,3,4]
// [--report faults.json]`: kills or stops workers of real trainings, and says what that broke. Needs a build
// and an MPI launcher; a full disk needs root, which mounts a small one. The report is written after each
// fault. A run that was cut goes on from it.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { installedLaunchers, mountSmallDisk } from '@qdylora/testing/node';
import { writeTinyModel, writeTinyRows } from '../tiny-files.ts';
import { FAULT_MODEL } from './kill-runs.ts';
import { faultTable, killWorkers, type Fault, type WorkerFaultReport } from './kill-workers.ts';

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '200' },
    seed: { type: 'string', default: '1' },
    faults: { type: 'string', default: 'SIGKILL,SIGTERM,full disk' },
    counts: { type: 'string', default: '2,3,4' },
    report: { type: 'string' },
  },
});
const launchers = installedLaunchers();
if (launchers.length === 0) process.exit(0); // it has said so
const place = mkdtempSync(join(tmpdir(), 'qdylora-faults-'));
const disk = openDisk(join(place, 'disk'));
const faults = (values.faults.split(',') as Fault[]).filter((fault) => disk || fault !== 'full disk');
const earlier = readReport();
let shown = earlier?.kills ?? 0;
try {
  const report = await killWorkers({
    model: writeTinyModel(join(place, 'model'), FAULT_MODEL),
    dataset: writeTinyRows(join(place, 'rows.jsonl')),
    scratch: disk ? join(place, 'disk') : place,
    launchers,
    faults,
    counts: values.counts.split(',').map(Number),
    kills: Number(values.kills),
    seed: Number(values.seed),
    earlier,
    onProgress(so) {
      writeReport(so);
      if (so.kills < shown + 10) return;
      shown = so.kills;
      console.log(`${faultTable(so)}\n`);
    },
  });
  const problems = [
    ...report.hanging,
    ...report.crashes,
    ...report.corrupt,
    ...report.lost,
    ...report.different,
  ];
  for (const problem of problems) console.error(problem);
  console.log(`${faultTable(report)}, seed ${values.seed}`);
  process.exitCode = problems.length > 0 ? 1 : 0;
} finally {
  disk?.[Symbol.dispose]();
  rmSync(place, { recursive: true, force: true });
}

/** What decides the faults: a report of other values is not one to go on from. */
function drawnFrom(): string {
  const { seed, faults, counts } = values;
  return JSON.stringify({ seed, faults, counts });
}

function readReport(): WorkerFaultReport | undefined {
  if (values.report === undefined || !existsSync(values.report)) return undefined;
  const stored = JSON.parse(readFileSync(values.report, 'utf8')) as {
    from: string;
    report: WorkerFaultReport;
  };
  if (stored.from !== drawnFrom())
    throw new Error(`${values.report} is the report of ${stored.from}, not of ${drawnFrom()}.`);
  return stored.report;
}

function writeReport(report: WorkerFaultReport): void {
  if (values.report === undefined) return;
  writeFileSync(`${values.report}.new`, JSON.stringify({ from: drawnFrom(), report }));
  renameSync(`${values.report}.new`, values.report);
}

/** A disk of 64 MB at a new folder: some checkpoints, and quickly filled. Null: it says why there is none. */
function openDisk(folder: string): Disposable | null {
  mkdirSync(folder);
  try {
    return mountSmallDisk(folder, '64m');
  } catch (error) {
    console.log(`skipped: full disk (${(error as Error).message})`);
    return null;
  }
}
