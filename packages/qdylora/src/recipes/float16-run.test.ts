import { createHostBackend, type Backend } from '@qdylora/contract';
import { readSafetensors } from '@qdylora/testing';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { createPerturbedBackend } from '../../test/perturbed-backend.ts';
import { bytesOf, rejection, run, tinyRun } from '../../test/tiny-run.ts';
import { finetune, type FinetuneOptions } from '../index.ts';

const { folder, common } = tinyRun();

/** SGD: an update is as exact as its gradient, whatever its size. */
const options = (outputDir: string): FinetuneOptions => ({
  ...common,
  ranks: [1, 2],
  valSetSize: 0,
  maxSteps: 3,
  saveSteps: 1,
  optimizer: 'sgd',
  learningRate: 0.1,
  outputDir: folder.in(outputDir),
});

/** Trains into the folder. → all numbers of the adapter, and the loss and loss scale of each step */
async function trained(outputDir: string, changes: Partial<FinetuneOptions>) {
  const events = await run({ ...options(outputDir), ...changes });
  const file = readFileSync(join(folder.in(outputDir), 'adapter', 'adapter_model.safetensors'));
  const steps = events.filter((event) => event.type === 'step');
  return {
    weights: [...readSafetensors(file).values()].flatMap((one) => [...one.floats()]),
    losses: steps.map(({ loss }) => loss),
    lossScales: steps.map(({ lossScale }) => lossScale),
  };
}

/** The run in f16, once. */
let once: ReturnType<typeof trained> | undefined;
const inFloat16 = () => (once ??= trained('f16', { computeDtype: 'f16' }));

const furthest = (a: readonly number[], b: readonly number[]): number =>
  a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i])), 0);

/** Both operands of a product and its result are rounded: by half of the last of 11 bits each. */
const FLOAT16_CHANGE = 3 * 2 ** -11;

it('a run in f16 has loss scaling, and ends within rounding errors of one in f32', async () => {
  const on = (backend: Backend) => ({ backend, computeDtype: 'f32' as const });
  const exact = await trained('f32', on(createHostBackend()));
  const half = await inFloat16();
  const perturbed = await trained('perturbed', on(createPerturbedBackend(1, FLOAT16_CHANGE)));
  expect(exact.lossScales).toEqual(Array(3).fill(undefined));
  expect(half.lossScales).toEqual(Array(3).fill(65536));
  // two draws of the same errors are further from each other than one is from the exact result
  const [weightBound, lossBound] = [
    2 * furthest(perturbed.weights, exact.weights),
    2 * furthest(perturbed.losses, exact.losses),
  ];
  expect(furthest(half.weights, exact.weights)).toBeLessThanOrEqual(weightBound);
  expect(furthest(half.losses, exact.losses)).toBeLessThanOrEqual(lossBound);
  expect(half.weights).not.toEqual(exact.weights);
  expect(lossBound).toBeLessThan(0.05 * exact.losses[0]!);
});

it('a run in f16 that is stopped and resumed ends in the same bytes', async () => {
  const controller = new AbortController();
  const stopped = finetune({ ...options('stopped'), computeDtype: 'f16', signal: controller.signal });
  const reason = await rejection(async () => {
    for await (const event of stopped) if (event.type === 'step' && event.step === 2) controller.abort();
  });
  expect(reason.code).toBe('ABORTED');
  await run({ ...options('stopped'), computeDtype: 'f16', resumeFromCheckpoint: 'auto' });
  await inFloat16();
  expect(bytesOf(folder.in('stopped/adapter'))).toEqual(bytesOf(folder.in('f16/adapter')));
});

it('f16 on a backend without it is refused, with the types that it has', async () => {
  const narrow: Backend = { ...createHostBackend(), name: 'narrow', floatDtypes: ['f32', 'bf16'] };
  const error = await rejection(() => run({ ...options('refused'), backend: narrow, computeDtype: 'f16' }));
  expect([error.code, error.message]).toEqual([
    'UNSUPPORTED',
    '[compute_dtype] compute_dtype is f16, but the backend narrow computes in f32 and bf16 only. Use f32 ' +
      'or bf16, or another backend.',
  ]);
});
