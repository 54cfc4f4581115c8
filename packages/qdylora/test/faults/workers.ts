// `pnpm test:faults:workers [--kills 200] [--seed 1] [--faults SIGKILL,SIGTERM,full disk] [--counts 2,3,4]`:
// kills or stops workers of real trainings, and says what that broke. Needs a build and an MPI launcher; a
// full disk needs root, which mounts a small one.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { installedLaunchers, mountSmallDisk } from '@qdylora/testing/node';
import { writeTinyModel, writeTinyRows } from '../tiny-files.ts';
import { FAULT_MODEL } from './kill-runs.ts';
import { faultTable, killWorkers, type Fault } from './kill-workers.ts';

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '200' },
    seed: { type: 'string', default: '1' },
    faults: { type: 'string', default: 'SIGKILL,SIGTERM,full disk' },
    counts: { type: 'string', default: '2,3,4' },
  },
});
const launchers = installedLaunchers();
if (launchers.length === 0) process.exit(0); // it has said so
const place = mkdtempSync(join(tmpdir(), 'qdylora-faults-'));
const disk = openDisk(join(place, 'disk'));
const faults = (values.faults.split(',') as Fault[]).filter((fault) => disk || fault !== 'full disk');
let shown = 0;
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
    onProgress(so) {
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
