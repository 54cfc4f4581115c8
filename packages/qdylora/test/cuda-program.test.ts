import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createHostBackend, QdyloraError, type Backend } from '@qdylora/contract';
import type { ComputeDtype } from '@qdylora/tensor';
import { readSafetensors } from '@qdylora/testing';
import { describe, expect, test } from 'vitest';
import { finetune, type FinetuneOptions } from '../src/index.ts';
import { buildFakeDriver, commandsWithGpu, onFakeCuda, type FakeRun } from './fake-cuda.ts';
import { createPerturbedBackend } from './perturbed-backend.ts';
import { command, type Ended } from './run-command.ts';
import { temporaryPlace, writeRowsOf, writeTinyModel } from './tiny-model.ts';

// The whole program on the CUDA backend, unmodified, and the driver that works without a GPU. The emulator
// runs 30 million instructions a second, so everything is as small as it can be. QDYLORA_DEEP=1 runs all of
// `RUNS`, and lets each allocation of a run fail.

const driver = buildFakeDriver();
const isDeep = process.env.QDYLORA_DEEP === '1';

const place = temporaryPlace();
const config = { hidden_size: 16, intermediate_size: 16, vocab_size: 100 };
const model = writeTinyModel(place.in('model'), { config });
const rows = writeRowsOf(place.in('rows.jsonl'), [6, 6, 6, 6]);

const LEARNING_RATE = 0.01;

const options = (outputDir: string): FinetuneOptions => ({
  model,
  dataset: rows,
  ranks: [1, 2],
  // a small epsilon would make an update of gradients that are rounding errors as large as any other
  adamEpsilon: 1e-3,
  learningRate: LEARNING_RATE,
  lrScheduler: 'constant',
  microBatchSize: 1,
  gradientAccumulationSteps: 1,
  maxSteps: 2,
  valSetSize: 0,
  outputDir,
});

interface Trained {
  readonly losses: readonly number[];
  /** What the losses were scaled by, in float16. */
  readonly lossScales: readonly (number | undefined)[];
  readonly weights: ReadonlyMap<string, Float32Array>;
}

/** Trains into the folder. → losses and loss scales of the steps, and the adapter or the trained weights */
async function trained(
  backend: Backend,
  folder: string,
  changes: Partial<FinetuneOptions> = {},
): Promise<Trained> {
  const losses: number[] = [];
  const lossScales: (number | undefined)[] = [];
  for await (const event of finetune({ ...options(folder), ...changes, backend })) {
    if (event.type !== 'step') continue;
    losses.push(event.loss);
    lossScales.push(event.lossScale);
  }
  const file = ['adapter/adapter_model.safetensors', 'model/model.safetensors']
    .map((name) => join(folder, name))
    .find(existsSync)!;
  const weights = [...readSafetensors(readFileSync(file))].map(
    ([name, one]) => [name, one.floats()] as const,
  );
  return { losses, lossScales, weights: new Map(weights) };
}

/** The largest difference of two results: of a weight, and of a loss. */
function distance(one: Trained, other: Trained): { readonly weights: number; readonly losses: number } {
  const furthest = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
    Array.from(a).reduce((most, value, i) => Math.max(most, Math.abs(value - b[i])), 0);
  expect([...one.weights.keys()]).toEqual([...other.weights.keys()]);
  return {
    weights: Math.max(
      ...[...one.weights].map(([name, values]) => furthest(values, other.weights.get(name)!)),
    ),
    losses: furthest(one.losses, other.losses),
  };
}

/** Compares a result with the host's: it is as near as rounding errors let it be. */
async function assertNearHost(
  name: string,
  changes: Partial<FinetuneOptions>,
  onCuda: Trained,
): Promise<void> {
  const exact = await trained(createHostBackend(), place.in(`${name}-host`), changes);
  const bound = { weights: 0, losses: 0 };
  for (const seed of isDeep ? [1, 2, 3, 4] : [1]) {
    const perturbed = await trained(createPerturbedBackend(seed), place.in(`${name}-${seed}`), changes);
    const { weights, losses } = distance(perturbed, exact);
    // two draws of the same errors are further from each other than one is from the exact result
    bound.weights = Math.max(bound.weights, 2 * weights);
    bound.losses = Math.max(bound.losses, 2 * losses);
  }
  const result = distance(onCuda, exact);
  expect(result.losses, `${name}: losses`).toBeLessThanOrEqual(bound.losses);
  expect(result.weights, `${name}: weights`).toBeLessThanOrEqual(bound.weights);
  expect(bound.weights, `${name}: bound`).toBeLessThan(MOST_BOUND * (changes.learningRate ?? LEARNING_RATE));
}

/** A bound as large as an update would say nothing: Adam and Lion change a weight by the learning rate. */
const MOST_BOUND = 0.2;

/** Three layers: one input leaves while another one is used. */
const deep = writeTinyModel(place.in('deep'), { config: { ...config, num_hidden_layers: 3 } });

/** States of parameters with fewer than 4096 elements stay in float32: the table of tokens has more. */
const large = writeTinyModel(place.in('large'), { config: { ...config, vocab_size: 264 } });
const full = { method: 'none', ranks: undefined, model: large, saveDtype: 'f32' } as const;

const eightBit = { ...full, optimizer: 'adamw_8bit' } as const;
const lion = { ...full, optimizer: 'lion_8bit', adamEpsilon: undefined } as const;
// a run of one step and its continuation both begin with one step at the largest rank
const sgd = { optimizer: 'sgd', adamEpsilon: undefined, learningRate: 0.1, wideRatio: 0.5 } as const;
const otherBase = { loraDropout: 0.1, quantization: 'fp4', doubleQuantization: false } as const;

/** [name, capability, compute type, changes]; the runs that only a deep run makes come last. */
const RUNS: readonly (readonly [string, string, ComputeDtype, Partial<FinetuneOptions>])[] = [
  ['adamw_32bit', '7.5', 'f32', {}],
  ['lion_8bit', '8.6', 'bf16', lion],
  ['sgd', '7.5', 'f16', sgd],
  ['adamw_32bit', '7.0', 'f16', {}],
  ['adamw_8bit', '7.5', 'f32', eightBit],
  ['sgd', '8.6', 'bf16', sgd],
  ['gradient checkpointing', '9.0', 'bf16', { gradientCheckpointing: true }],
  ['adamw_8bit', '8.6', 'bf16', eightBit],
  ['lion_8bit', '7.5', 'f32', lion],
  ['sgd', '7.5', 'f32', sgd],
  ['fp4 with dropout', '11.0', 'f32', otherBase],
  ['gradient checkpointing', '7.5', 'f16', { gradientCheckpointing: true }],
  ['adamw_8bit', '8.6', 'f16', eightBit],
];
const OF_NPM_TEST = 4;

/** What the job returned, of a backend that left nothing behind. */
function resultOf<T>({ result, error, ledger }: FakeRun<T>): T {
  if (error) throw error as Error;
  expect(Object.values(ledger).every((count) => count === 0)).toBe(true);
  return result!;
}

const onDevice = (
  capability: string,
  name: string,
  changes: Partial<FinetuneOptions>,
): Promise<FakeRun<Trained>> =>
  onFakeCuda(driver!, `capability=${capability} seed=3`, (backend) =>
    trained(backend, place.in(name), changes),
  );

/** The first of the runs on its device. */
let resident: Trained | undefined;

/** The first run in float16. */
let inFloat16: Trained | undefined;

test.skipIf(!driver).each(RUNS.slice(0, isDeep ? undefined : OF_NPM_TEST))(
  '%s on capability %s in %s trains what it trains on the host',
  async (name, capability, computeDtype, changes) => {
    const all = { ...changes, computeDtype };
    const label = `${name}-${computeDtype}-${capability}`;
    const onCuda = resultOf(await onDevice(capability, `${label}-cuda`, all));
    resident ??= onCuda;
    if (computeDtype === 'f16') {
      inFloat16 ??= onCuda;
      expect(onCuda.lossScales).toEqual([65536, 65536]);
    }
    await assertNearHost(label, all, onCuda);
  },
);

test.skipIf(!driver)(
  'a run in float16 on capability 7.5 that is stopped and resumed has the same bits',
  async () => {
    const changes = { ...sgd, computeDtype: 'f16' } as const;
    const onTuring = (folder: string, more: Partial<FinetuneOptions>) =>
      onDevice('7.5', folder, { ...changes, ...more }).then(resultOf);
    inFloat16 ??= await onTuring('whole-f16', {}); // this test alone
    const first = await onTuring('stopped-f16', { maxSteps: 1 });
    const rest = await onTuring('stopped-f16', { resumeFromCheckpoint: 'auto' });
    expect([...first.losses, ...rest.losses]).toEqual(inFloat16.losses);
    expect(rest.weights).toEqual(inFloat16.weights);
  },
);

test.skipIf(!driver)('a paged optimizer trains the bits of one whose states stay on the device', async () => {
  const changes = {
    computeDtype: 'f32',
    optimizer: 'paged_adamw_32bit',
    optimizerMemoryBudget: '1KiB',
  } as const;
  const paged = await onDevice('7.5', 'paged', changes);
  resident ??= resultOf(await onDevice('7.5', 'resident', { computeDtype: 'f32' })); // this test alone
  expect(resultOf(paged)).toEqual(resident);
  expect(paged.calls.filter((name) => name === 'cuStreamCreate')).toHaveLength(2);
});

test.skipIf(!driver)('offloaded activations train the bits of those that stay on the device', async () => {
  const changes = { computeDtype: 'f32', model: deep, maxSteps: 1 } as const;
  const kept = await onDevice('7.5', 'kept', changes);
  for (const seed of isDeep ? [1, 2, 3, 4] : [1, 2]) {
    const offloaded = await onFakeCuda(driver!, `capability=7.5 seed=${seed}`, (backend) =>
      trained(backend, place.in(`offloaded-${seed}`), { ...changes, activationOffload: true }),
    );
    expect(resultOf(offloaded)).toEqual(resultOf(kept));
    expect(offloaded.calls.filter((name) => name === 'cuStreamCreate')).toHaveLength(2);
  }
});

describe.skipIf(!driver)('a run that fails', () => {
  const whole = place.in('whole');
  const settings = 'capability=8.0 seed=5';
  // steps of one rank and one length: the third one replays a graph
  const changes = { saveSteps: 1, maxSteps: 3, ranks: [2] };
  /** The uninterrupted run, once: its adapter and the calls of the driver. */
  let uninterrupted: Promise<FakeRun<Trained>> | undefined;
  const reference = (): Promise<FakeRun<Trained>> =>
    (uninterrupted ??= onFakeCuda(driver!, settings, (backend) => trained(backend, whole, changes)));

  /** Runs until the failure. → the error, and the folder */
  const failed = async (failure: string, name: string) => {
    const folder = place.in(name);
    const { error, ledger } = await onFakeCuda(driver!, `${settings} fail=${failure}`, (backend) =>
      trained(backend, folder, changes),
    );
    expect(
      Object.values(ledger).every((count) => count === 0),
      failure,
    ).toBe(true);
    return { error, folder };
  };

  /** Goes on from the last checkpoint, on a device that works. */
  const resumed = async (folder: string): Promise<Trained> =>
    resultOf(
      await onFakeCuda(driver!, settings, (backend) =>
        trained(backend, folder, { ...changes, resumeFromCheckpoint: 'auto' }),
      ),
    );

  test('for lack of memory, at any allocation, says so and frees everything', async () => {
    const allocations = (await reference()).calls.filter((name) => name === 'cuMemAlloc_v2').length;
    expect(allocations).toBeGreaterThan(8);
    const all = Array.from({ length: allocations }, (_, i) => i + 1);
    const chosen = isDeep ? all : [Math.ceil(allocations / 2), allocations];
    for (const n of chosen) {
      const { error } = await failed(`cuMemAlloc_v2:${n}:2`, `memory-${n}`);
      expect(error, `allocation ${n}`).toMatchObject({
        code: 'OUT_OF_MEMORY',
        where: 'cuda',
        details: expect.objectContaining({
          requiredBytes: expect.any(Number),
          totalBytes: 2 ** 30,
        }) as object,
      });
    }
  });

  test('because the device is lost in a step keeps the last checkpoint, and goes on from it', async () => {
    const { result, calls } = await reference();
    const launches = calls.filter((name) => /cuLaunchKernel|cuGraphLaunch/.test(name));
    expect(launches).toContain('cuGraphLaunch');
    const use = launches
      .slice(0, Math.ceil(0.7 * launches.length))
      .filter((name) => name === 'cuLaunchKernel');
    const { error, folder } = await failed(`cuLaunchKernel:${use.length}:719`, 'lost');
    expect(error).toBeInstanceOf(QdyloraError);
    expect(error).toMatchObject({ code: 'NATIVE' });
    expect((error as Error).message).toMatch(
      /^\[cuda\] cuLaunchKernel failed with .*\(719\): .*the device was lost\. Start the program again: .*/,
    );
    expect((error as Error).message).toMatch(/What was learned up to step [12] is kept\. Resume from /);
    expect(readdirSync(join(folder, 'checkpoints'))).toContain('step-1');
    const { weights } = await resumed(folder);
    expect(weights).toEqual(result!.weights);
  });
});

test.skipIf(!driver)('the command trains, resumes, evaluates and generates with --backend cuda', async () => {
  const run = place.in('commands');
  const on = ['--model', model, '--backend', 'cuda', '--compute-dtype', 'f32'];
  const train = [
    ...['train', ...on, '--dataset', rows, '--output-dir', run, '--ranks', '2', '--val-set-size', '0'],
    ...['--micro-batch-size', '1', '--gradient-accumulation-steps', '1'],
  ];
  const judge = [
    'eval',
    '--adapter',
    join(run, 'adapter'),
    '--dataset',
    rows,
    '--limit-tokens',
    '12',
    '--json',
  ];
  const answer = ['generate', '--adapter', join(run, 'adapter'), '--prompt-ids', '5,6', '--json'];
  const settings = 'capability=8.0 seed=2';
  const ended = await commandsWithGpu(driver!, [
    [settings, ...train, '--max-steps', '1'],
    [settings, ...train, '--max-steps', '2', '--resume-from-checkpoint', 'auto'],
    [settings, ...judge, ...on],
    [settings, ...answer, '--max-new-tokens', '3', ...on],
  ]);
  for (const { code, err } of ended) expect([code, err]).toEqual([0, err]);
  const [first, resumed, judged, answered] = ended;
  for (const { out, err } of [first, resumed]) expect(out + err).toContain('cuda sm_80, Fake GPU');
  const onHost = ['--model', model, '--backend', 'host', '--compute-dtype', 'f32'];
  const losses = ({ out }: Ended): number[] =>
    (JSON.parse(out) as { results: { loss: number }[] }).results.map(({ loss }) => loss);
  const hostLosses = losses(await command(...judge, ...onHost));
  expect(losses(judged)).toHaveLength(hostLosses.length);
  // a dozen ops one after another, each wrong by 32 units in the last place at most
  for (const [i, loss] of losses(judged).entries())
    expect(Math.abs(loss - hostLosses[i])).toBeLessThan(12 * 32 * 2 ** -24 * loss);
  const ids = ({ out }: Ended): number[] => (JSON.parse(out) as { ids: number[] }).ids;
  expect(ids(answered)).toEqual(ids(await command(...answer, '--max-new-tokens', '3', ...onHost)));
});
