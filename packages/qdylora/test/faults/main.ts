// `pnpm test:faults [--kills 1000] [--seed 1] [--scratch /dev/shm]`: kills real trainings with SIGKILL and
// says what that broke. Needs a build (node scripts/set-up.mjs).
// What a killed process has written stays written, synced or not, so a scratch folder in memory loses nothing
// but the waiting for a disk; power cuts are in packages/trainer/src/checkpoints/save-faults.test.ts.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { writeTinyModel, writeTinyRows } from '../tiny-files.ts';
import { FAULT_MODEL, killLine, killRuns } from './kill-runs.ts';

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '1000' },
    seed: { type: 'string', default: '1' },
    scratch: { type: 'string', default: tmpdir() },
    help: { type: 'boolean', short: 'h', default: false },
  },
});
if (values.help) {
  console.log(
    'pnpm test:faults [--kills 1000] [--seed 1] [--scratch folder]: kills real trainings with SIGKILL at ' +
      'random instants, resumes them, and says what that broke. Needs a build.',
  );
  process.exit(0);
}
const scratch = mkdtempSync(join(values.scratch, 'qdylora-faults-'));
const start = performance.now();
let shown = 0;
try {
  const report = await killRuns({
    model: writeTinyModel(join(scratch, 'model'), FAULT_MODEL),
    dataset: writeTinyRows(join(scratch, 'rows.jsonl')),
    scratch,
    kills: Number(values.kills),
    seed: Number(values.seed),
    onProgress(so) {
      if (so.kills < shown + 50) return;
      shown = so.kills;
      console.log(killLine(so));
    },
  });
  for (const problem of [...report.corrupt, ...report.lost, ...report.different]) console.error(problem);
  console.log(
    `${killLine(report)}; ${((performance.now() - start) / 1000 / Math.max(1, report.kills)).toFixed(2)} s ` +
      `a kill, seed ${values.seed}`,
  );
  process.exitCode = report.corrupt.length + report.lost.length + report.different.length > 0 ? 1 : 0;
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
