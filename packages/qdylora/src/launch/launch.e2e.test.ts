import { spawn } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { installedLaunchers, launch, startLaunch, watchLaunch, workerProcesses } from '@qdylora/testing/node';
import { beforeAll, describe, expect, it } from 'vitest';
import { fileOrEnd } from '../../test/file-or-end.ts';
import { temporaryPlace, writeTinyModel, writeTinyRows } from '../../test/tiny-model.ts';

const COMMAND = fileURLToPath(new URL('../../bin/qdylora.js', import.meta.url));
const isBuilt = existsSync(new URL('../../dist/train-worker.js', import.meta.url));
const TIMEOUT = 300_000;
/** Without `qdylora launch`: MPICH's own launcher sometimes ends with 0 and says nothing. */
const RAW = { timeout: TIMEOUT, retry: 2 };

const launchers = isBuilt ? installedLaunchers() : [];
if (!isBuilt) console.log('skipped: packages/qdylora/dist is not built');

it.for(launchers.length === 0 ? ['no build, or no MPI launcher is installed'] : [])(
  'workers are not tested: %s',
  (why, { skip }) => {
    skip(why);
  },
);

describe.each(launchers)('qdylora train on workers of $name', (launcher) => {
  const place = temporaryPlace();
  let common: string[] = [];

  beforeAll(() => {
    const model = writeTinyModel(place.in('model'));
    const dataset = writeTinyRows(place.in('rows.jsonl'));
    common = ['train', '--model', model, '--dataset', dataset, '--ranks', '1,2,4', '--val-set-size', '2'];
    common.push('--micro-batch-size', '1', '--gradient-accumulation-steps', '5', '--save-steps', '2');
  });

  const train = (count: number, folder: string, ...words: readonly string[]) =>
    launch(launcher, count, [COMMAND, ...common, '--output-dir', place.in(folder), ...words]);

  /** Of all files of the last checkpoint and of the adapter, by their paths. */
  const hashesOf = (folder: string, step: number): Record<string, string> =>
    Object.fromEntries(
      [`checkpoints/step-${step}`, 'adapter'].flatMap((part) =>
        readdirSync(join(place.in(folder), part)).map((name) => [
          `${part}/${name}`,
          createHash('sha256')
            .update(readFileSync(join(place.in(folder), part, name)))
            .digest('hex'),
        ]),
      ),
    );

  it(
    'writes the same bytes for 1, 2 and 3 of them, and goes on from a checkpoint on another number',
    async () => {
      for (const count of [1, 2, 3]) {
        const { status, output } = await train(count, `on-${count}`, '--max-steps', '4');
        expect(status, output).toBe(0);
        expect(hashesOf(`on-${count}`, 4)).toEqual(hashesOf('on-1', 4));
      }
      expect(Object.keys(hashesOf('on-1', 4))).toContain('checkpoints/step-4/parameters.safetensors');
      // one worker shows progress and result
      const { output } = await train(3, 'on-2', '--max-steps', '6', '--resume-from-checkpoint', 'auto');
      expect(output.match(/^report: /gm)).toHaveLength(1);
      await train(1, 'on-1', '--max-steps', '6', '--resume-from-checkpoint', 'auto');
      expect(hashesOf('on-2', 6)).toEqual(hashesOf('on-1', 6));
    },
    TIMEOUT,
  );

  it(
    'trains ranks by worker in the order of the library, and says that the bits depend on their number',
    async () => {
      const words = ['--max-steps', '2', '--fast-reduce', '--max-rank-by-worker', '2,4'];
      const { status, output } = await train(2, 'ranks', ...words);
      expect(status, output).toBe(0);
      const notice =
        /fast_reduce: gradients are added in the order of .*, so the last bits .*processes \(2\)\./;
      expect(output).toMatch(notice);
      expect(readFileSync(join(place.in('ranks'), 'report.json'), 'utf8')).toMatch(notice);
      const state = readFileSync(join(place.in('ranks'), 'checkpoints', 'step-2', 'state.json'), 'utf8');
      expect(JSON.parse(state)).toMatchObject({ config: { max_rank_by_worker: [2, 4] } });
    },
    TIMEOUT,
  );

  it('ends on all of them where one is stopped, and keeps the last step', RAW, async () => {
    const folder = place.in(`stopped-${randomUUID()}`);
    const words = [COMMAND, ...common, '--output-dir', folder, '--max-steps', '100000'];
    const { outcome } = startLaunch(launcher, 2, words);
    await fileOrEnd(join(folder, 'checkpoints', 'step-2'), outcome);
    process.kill(workerProcesses(folder).find(({ rank }) => rank === 1)!.pid, 'SIGTERM');
    const { status, output } = await outcome;
    expect(status, output).not.toBe(0);
    // one error, of the worker that was stopped
    expect(output.match(/\[worker \d of 2[^\]]*\]/g), output).toEqual(['[worker 1 of 2: train]']);
    expect(readdirSync(join(folder, 'checkpoints')).length).toBeGreaterThan(0);
  });

  it(
    'saves the last step at Ctrl-C of `qdylora launch`, and names the command that continues all workers',
    async () => {
      const file = place.in('stopped.yaml');
      const folder = place.in('by-ctrl-c');
      writeFileSync(file, `output_dir: ${folder}\nmax_steps: 100000\n`);
      const flags = common.slice(1);
      const words = ['launch', file, '-n', '2', '--launcher', launcher.command, '--', ...flags];
      const child = spawn(process.execPath, [COMMAND, ...words], {
        env: { ...process.env, OMPI_MCA_mpi_yield_when_idle: '1' },
      });
      const outcome = watchLaunch(child);
      await fileOrEnd(join(folder, 'checkpoints', 'step-2'), outcome);
      child.kill('SIGINT');
      const { output } = await outcome;
      const last = /The run was aborted after step (\d+)/.exec(output)?.[1];
      expect(readdirSync(join(folder, 'checkpoints')), output).toContain(`step-${last}`);
      expect(output).toMatch(/To continue:\nnpx qdylora launch .* --resume-from-checkpoint auto/);
    },
    TIMEOUT,
  );

  it('is refused where a worker has other options, with the worker and the option', RAW, async () => {
    const words = [...common, '--max-steps', '2', '--output-dir', place.in('different')];
    const program = place.in('worker.mjs');
    writeFileSync(program, withRateOfRank(words));
    const { status, output } = await launch(launcher, 2, [program]);
    expect(status, output).not.toBe(0);
    expect(output).toContain(
      '[worker 1 of 2] The learning_rate of this worker is 0.002, but that of worker 0 is 0.001.',
    );
  });
});

/** A program of a worker that trains with a learning rate of its own. */
const withRateOfRank = (words: readonly string[]): string => `
  const rank = Number(process.env.OMPI_COMM_WORLD_RANK ?? process.env.PMI_RANK);
  const rate = ['--learning-rate', rank === 0 ? '1e-3' : '2e-3'];
  process.argv = [process.execPath, ${JSON.stringify(COMMAND)}, ...${JSON.stringify(words)}, ...rate];
  import(process.argv[1]);`;
