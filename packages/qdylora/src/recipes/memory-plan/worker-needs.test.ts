import { localWorld, type Communicator } from '@qdylora/collectives';
import { createDryBackend } from '@qdylora/contract';
import { loadAddon } from '@qdylora/cpu-kernels';
import { train } from '@qdylora/trainer';
import { expect, test } from 'vitest';
import { tinyCommands } from '../../../test/tiny-commands.ts';
import { command } from '../../../test/run-command.ts';
import { temporaryPlace, writeRowsOf, writeTinyModel } from '../../../test/tiny-model.ts';
import { valuesOfOptions } from '../../config/explicit-values.ts';
import { openRun } from '../finetune.ts';
import { prepareRun, resolveShape } from '../run/prepare-run.ts';
import { openSession } from '../run/run-session.ts';
import { planMemory, type MemoryPlan } from '../plan-memory.ts';
import { atLargestRank, dryRun } from './dry-run.ts';
import type { PlannedWorker } from './dry-world.ts';
import { needOfRun } from './forecast-memory.ts';
import { planModel, type ModelPlan } from './plan-model.ts';
import { plannedModel } from './planned-model.ts';

const folder = temporaryPlace();

test('the arrays of each worker are, to the byte, those of its dry run', async ({ skip }) => {
  const loaded = loadAddon();
  skip(!loaded.addon, `the addon does not load: ${loaded.addon ? '' : loaded.reason}`);
  const dataset = writeRowsOf(folder.in('rows.jsonl'), Array<number>(12).fill(12));
  const model = writeTinyModel(folder.in('model'));
  const options = {
    model,
    dataset,
    ranks: [1, 16],
    maxRankByWorker: [16, 1],
    wideRatio: 0,
    distillation: 0,
    maxSteps: 1,
    numThreads: 1,
  };
  const shape = { microBatchSize: 1, gradientAccumulationSteps: 8, packing: false, backend: 'cpu' } as const;
  const bytesOf = async (world: Communicator) => {
    const outputDir = folder.in(`out-${world.rank}`);
    const prepared = prepareRun(valuesOfOptions({ ...options, ...shape, outputDir }));
    using opened = await openRun(prepared, openSession({ backend: 'cpu', workers: world }));
    const { config, source, run, chosen } = opened;
    const sampler = atLargestRank(run.training.sampler, run.adapted!.ranks.maxRank);
    const maxRanks = config.maxRankByWorker;
    await train({
      ...run.training,
      sampler,
      workers: world,
      maxRanks,
      gradientSum: null,
      recordsPasses: false,
    }).result;
    using dry = chosen.dry!();
    const planned = await dryRun(config, {
      backend: dry,
      model: source.config.raw,
      dtype: 'f32',
      steps: [{ batches: run.batches.batchAt(0), isWide: false, runStep: 0 }],
      judged: [],
      recompute: run.training.recompute ?? false,
      worker: world,
    });
    return { real: run.model.backend.memory.usage().peakBytes, planned: planned.peakBytes, run };
  };
  const [large, small] = await Promise.all(localWorld(2).map(bytesOf));
  expect(large.planned).toBe(large.real);
  expect(small.planned).toBe(small.real);
  // both have all gradients and states; of four terms, two sums are kept aside
  const gradientBytes = 4 * large.run.adapted!.report.trainableCount;
  expect(large.real - small.real).toBeGreaterThan((2 * 14 * gradientBytes) / 16);
});

/** Bytes of this process, which are others each time. */
const residentOf = ({ parts }: MemoryPlan): number =>
  parts.find(({ part }) => part === 'Node, program and kernels')!.bytes;

test('plan says what each worker of max_rank_by_worker needs, and nothing without the key', async () => {
  const { model } = tinyCommands();
  const keys = { model: `${model}/config.json`, ranks: [1, 16], gradientAccumulationSteps: 8 };
  const plain = await planMemory(keys);
  expect(plain).not.toHaveProperty('workers');
  const planned = await planMemory({ ...keys, maxRankByWorker: [16, 1] });
  const { workers } = planned;
  expect(workers!.map(({ maxRank }) => maxRank)).toEqual([16, 1]);
  expect(workers![0].totalBytes).toBeGreaterThan(workers![1].totalBytes);
  expect(workers![1].totalBytes - residentOf(planned)).toBeGreaterThan(plain.totalBytes - residentOf(plain));
  const words = ['--ranks', '1,16', '--max-rank-by-worker', '16,1'];
  const { out } = await command('plan', '--model', keys.model, ...words);
  expect(out).toMatch(/on the workers of max_rank_by_worker:\n.*worker 0, ranks up to 16, about +\d/);
  expect(out).toMatch(/worker 1, ranks up to 1, about +\d.*\nall of them on one machine, about +\d/);
});

test('a run fits where its largest worker fits, and so do the changes that are proposed', async () => {
  const { model } = tinyCommands();
  const values = {
    model: `${model}/config.json`,
    ranks: [1, 16],
    microBatchSize: 4,
    gradientAccumulationSteps: 8,
    gradientCheckpointing: false,
    maxRankByWorker: [1, 16],
  };
  const config = { ...resolveShape(valuesOfOptions(values)), computeDtype: 'f32' } as const;
  const planned = await plannedModel(config);
  const dry = () => ({ ...createDryBackend(), [Symbol.dispose]: () => {} });
  const planFor = (memoryBytes: number, changes: object = {}): Promise<ModelPlan> =>
    planModel({ ...config, ...changes }, planned, { dry, processParts: [], isOnDevice: false, memoryBytes });
  const { totalBytes, workers } = await planFor(1e12);
  const largest = workers![1].totalBytes;
  expect(largest).toBeGreaterThan(totalBytes);
  expect((await planFor(largest)).limit).toMatchObject({ fits: true, fit: null });
  const { limit } = await planFor(largest - 1);
  expect(limit!.fits).toBe(false);
  expect(limit!.fit!.values).toEqual({ gradient_checkpointing: true });
  const changed = await planFor(largest - 1, { gradientCheckpointing: true });
  expect(changed.workers![1].totalBytes).toBe(limit!.fit!.totalBytes);
  expect(changed.limit!.fits).toBe(true);
});

test('plan says of the largest worker whether it fits', async () => {
  const { model } = tinyCommands();
  const words = ['--model', `${model}/config.json`, '--ranks', '1,16', '--max-rank-by-worker', '16,1'];
  const printed = async (memory: string): Promise<string> =>
    (await command('plan', ...words, '--memory', memory)).out;
  expect(await printed('64GB')).toMatch(/The largest worker fits into 64\.00 GB: [\d.]+ GB to spare\.\n/);
  expect(await printed('1MB')).toMatch(
    /The largest worker does not fit into 1\.0 MB: [\d.]+ [MG]B too much\.\n/,
  );
});

test('layers are recomputed for a size with what workers exchange', async () => {
  const model = writeTinyModel(folder.in('sized'));
  const dataset = writeRowsOf(folder.in('sized.jsonl'), [12, 12]);
  const options = { model, dataset, backend: 'host', maxSteps: 1, microBatchSize: 1 } as const;
  const prepared = prepareRun(valuesOfOptions({ ...options, outputDir: folder.in('sized-out') }));
  using opened = await openRun(prepared, openSession({ backend: 'host' }));
  const needAs = (worker?: PlannedWorker): Promise<number> =>
    needOfRun(opened.config, { ...opened, worker })!(opened.run, false);
  await needAs(); // the process grows in the first one
  const alone = await needAs();
  const among = await needAs({ rank: 0, size: 2 });
  expect(among - alone).toBeGreaterThan(8e6); // half of MPI_BYTES: the process may shrink between the two
});
