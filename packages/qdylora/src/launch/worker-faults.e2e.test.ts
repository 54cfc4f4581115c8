import { spawn } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { installedLaunchers, watchLaunch, workerProcesses, type LaunchOutcome } from '@qdylora/testing/node';
import { describe, expect, it } from 'vitest';
import { FAULT_MODEL } from '../../test/faults/kill-runs.ts';
import { killWorkers, type FaultRow } from '../../test/faults/kill-workers.ts';
import { fileOrEnd } from '../../test/file-or-end.ts';
import { temporaryPlace, writeTinyModel, writeTinyRows } from '../../test/tiny-model.ts';

const COMMAND = fileURLToPath(new URL('../../bin/qdylora.js', import.meta.url));
const isBuilt = existsSync(new URL('../../dist/train-worker.js', import.meta.url));
/** A handful; `pnpm test:faults:workers` does the same for longer, with a full disk too. */
const KILLS = 3;
const TIMEOUT = 600_000;

describe('workers, of which one is killed or stopped at a random instant', () => {
  it(
    'all end soon, lose no acknowledged save, and go on to the bytes of an undisturbed run',
    async ({ skip }) => {
      skip(!isBuilt, 'packages/qdylora/dist is not built');
      const launchers = installedLaunchers().slice(0, 1);
      skip(launchers.length === 0, 'there is no MPI launcher');
      const folder = temporaryPlace(existsSync('/dev/shm') ? '/dev/shm' : undefined);
      const seed = Date.now() % 2 ** 30;
      const report = await killWorkers({
        model: writeTinyModel(folder.in('model'), FAULT_MODEL),
        dataset: writeTinyRows(folder.in('rows.jsonl')),
        scratch: folder.path,
        launchers,
        faults: ['SIGKILL', 'SIGTERM'],
        counts: [2],
        kills: KILLS,
        seed,
      });
      const nothing = { hanging: [], crashes: [], corrupt: [], lost: [], different: [] };
      expect({ ...report, seed }).toMatchObject({ ...nothing, kills: KILLS, seed });
      const rows: FaultRow[] = Object.values(report.rows);
      expect(rows.reduce((sum, { faults }) => sum + faults, 0)).toBe(KILLS);
    },
    TIMEOUT,
  );

  it(
    'are started again by `launch --max-restarts`, from the last checkpoint, to the same bytes',
    async ({ skip }) => {
      skip(!isBuilt || installedLaunchers().length === 0, 'no build, or no MPI launcher');
      const { place, writeRun } = tinyRuns(200);
      const undisturbed = await runTwo(writeRun('whole'), 0);
      expect(undisturbed.status, undisturbed.output).toBe(0);
      const outcome = runTwo(writeRun('killed'), 4);
      for (const step of [2, 8]) {
        await fileOrEnd(join(place.in('killed'), 'checkpoints', `step-${step}`), outcome);
        signalWorker(place.in('killed.yaml'), 'SIGKILL');
      }
      const { status, output } = await outcome;
      expect(status, output).toBe(0);
      expect(output).toMatch(/: start 1 of 4 from their last checkpoint/);
      const adapterOf = (name: string): Buffer =>
        readFileSync(join(place.in(name), 'adapter', 'adapter_model.safetensors'));
      expect(adapterOf('killed').equals(adapterOf('whole'))).toBe(true);
    },
    TIMEOUT,
  );
});

describe('a worker that hangs', () => {
  it(
    'ends the run once the others have waited for it, with their error',
    async ({ skip }) => {
      skip(!isBuilt || installedLaunchers().length === 0, 'no build, or no MPI launcher');
      const { place, writeRun } = tinyRuns(100_000);
      const outcome = runTwo(writeRun('hanging'), 0, { QDYLORA_COLLECTIVE_SECONDS: '20' });
      await fileOrEnd(join(place.in('hanging'), 'checkpoints', 'step-2'), outcome);
      const isHanging = signalWorker(place.in('hanging.yaml'), 'SIGSTOP');
      const { status, output } = await outcome;
      expect(isHanging, output).toBe(true);
      expect([status, output]).toEqual([1, expect.stringMatching(/did not end within 20 seconds/)]);
    },
    TIMEOUT,
  );
});

/** Runs of a tiny model, which save every second step. */
function tinyRuns(maxSteps: number) {
  const place = temporaryPlace();
  const keys = {
    model: writeTinyModel(place.in('model')),
    dataset: writeTinyRows(place.in('rows.jsonl')),
    ranks: '[1, 2, 4]',
    max_steps: maxSteps,
    save_steps: 2,
    num_threads: 1,
    micro_batch_size: 1,
    gradient_accumulation_steps: 4,
    val_set_size: 2,
  };
  const writeRun = (name: string): string => {
    const lines = Object.entries({ ...keys, output_dir: place.in(name) });
    writeFileSync(place.in(`${name}.yaml`), lines.map(([key, value]) => `${key}: ${value}\n`).join(''));
    return place.in(`${name}.yaml`);
  };
  return { place, writeRun };
}

/** Sends a signal to the second worker. Returns false if it has ended. */
function signalWorker(file: string, signal: NodeJS.Signals): boolean {
  const worker = workerProcesses(file).find(({ rank }) => rank === 1);
  try {
    return worker !== undefined && process.kill(worker.pid, signal);
  } catch {
    return false;
  }
}

/** `qdylora launch` on two workers, which it starts again so often. */
function runTwo(file: string, maxRestarts: number, env: NodeJS.ProcessEnv = {}): Promise<LaunchOutcome> {
  const words = [COMMAND, 'launch', '-n', '2', '--max-restarts', String(maxRestarts), file];
  return watchLaunch(
    spawn(process.execPath, words, { env: { ...process.env, OMPI_MCA_mpi_yield_when_idle: '1', ...env } }),
  );
}
