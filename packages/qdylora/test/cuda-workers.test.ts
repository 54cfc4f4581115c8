import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { installedLaunchers, startLaunch, type LaunchOutcome } from '@qdylora/testing/node';
import { describe, expect, test } from 'vitest';
import { buildFakeDriver } from './fake-cuda.ts';
import { temporaryPlace, writeRowsOf, writeTinyModel } from './tiny-model.ts';

// The command on workers that train on GPUs: the driver that works without one, and the NCCL of collectives
// that goes through shared memory and, as NCCL does, refuses two workers on one GPU.

const COMMAND = fileURLToPath(new URL('../bin/qdylora.js', import.meta.url));
const isBuilt = existsSync(new URL('../dist/train-worker.js', import.meta.url));
const place = temporaryPlace();
const driver = buildFakeDriver();
const isNcclBuilt = buildFakeNccl(place.path);
const [launcher] = installedLaunchers();
if (!isBuilt) console.log('skipped: packages/qdylora/dist is not built');

/** Compiles libnccl.so.2 into the folder. @returns false where there is no compiler */
function buildFakeNccl(folder: string): boolean {
  const home = dirname(createRequire(import.meta.url).resolve('@qdylora/collectives/package.json'));
  const script = join(home, 'scripts', 'build-fake-nccl.mjs');
  return execFileSync(process.execPath, [script, folder], { encoding: 'utf8' }) === '';
}

const TIMEOUT = 300_000;
const config = { hidden_size: 16, intermediate_size: 16, vocab_size: 100 };

describe.runIf(isBuilt && launcher && driver && isNcclBuilt)('workers on GPUs', () => {
  const model = writeTinyModel(place.in('model'), { config });
  const rows = writeRowsOf(place.in('rows.jsonl'), [6, 6, 6, 6]);

  /** Trains a step of three micro batches on so many workers; the machine has two GPUs. */
  function train(count: number, folder: string, ...words: readonly string[]): Promise<LaunchOutcome> {
    const libraries = words.includes('--no-nccl') ? [driver!.folder] : [driver!.folder, place.path];
    const env = {
      LD_LIBRARY_PATH: libraries.join(':'),
      QDYLORA_FAKE_CUDA: `capability=8.0 devices=2 pageable=1 log=${place.in(`${folder}.log`)}`,
    };
    const command = [
      ...[COMMAND, 'train', '--model', model, '--dataset', rows, '--backend', 'cuda', '--ranks', '2'],
      ...['--compute-dtype', 'f32', '--val-set-size', '0', '--max-steps', '1', '--micro-batch-size', '1'],
      ...['--gradient-accumulation-steps', '3', '--output-dir', place.in(folder)],
      ...words.filter((word) => word !== '--no-nccl'),
    ];
    return startLaunch(launcher, count, command, env).outcome;
  }

  const adapterOf = (folder: string): Buffer =>
    readFileSync(join(place.in(folder), 'adapter', 'adapter_model.safetensors'));

  test(
    'train each on their own, over NCCL or over MPI, to the bits of one worker',
    async () => {
      const alone = await train(1, 'alone');
      expect(alone.status, alone.output).toBe(0);
      const two = await train(2, 'two');
      expect(two.status, two.output).toBe(0);
      expect(two.output.replaceAll(/\s+/g, ' ')).toContain(
        'The workers exchange gradients over NCCL 2.32.3.',
      );
      expect(adapterOf('two').equals(adapterOf('alone'))).toBe(true);
      // the calls of worker 1 are those on the second device
      for (const log of ['two.log', 'two.log.1'])
        expect(readFileSync(place.in(log), 'utf8'), log).toContain('\ncuLaunchKernel 0');
      const overMpi = await train(2, 'over-mpi', '--no-nccl');
      expect(overMpi.status, overMpi.output).toBe(0);
      const said = overMpi.output.replaceAll(/\s+/g, ' ');
      expect(said).toMatch(/The workers exchange gradients over Open MPI .*, through host memory\. NCCL/);
      expect(said).toContain('NCCL or the CUDA driver cannot be opened: libnccl.so.2');
      expect(adapterOf('over-mpi').equals(adapterOf('alone'))).toBe(true);
    },
    TIMEOUT,
  );

  test(
    'are refused where they are more than the GPUs, by one error with both numbers',
    async () => {
      const { status, output } = await train(3, 'three');
      expect(status, output).not.toBe(0);
      expect(output.replaceAll(/\s+/g, ' ')).toMatch(/3 workers of host \S+ share 2 GPUs, but each worker/);
      expect(output.match(/share 2 GPUs/g)).toHaveLength(1);
      expect(existsSync(place.in('three'))).toBe(false);
    },
    TIMEOUT,
  );
});
