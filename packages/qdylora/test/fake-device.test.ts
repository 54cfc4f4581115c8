import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createHostBackend, opsOf, type Backend } from '@qdylora/contract';
import * as loraDynamic from '@qdylora/lora-dynamic';
import { buildModel, generate } from '@qdylora/models';
import { openCheckpoint } from '@qdylora/checkpoint';
import * as quant from '@qdylora/quant';
import * as tensor from '@qdylora/tensor';
import { createFakeDevice, type FakeDevice } from '@qdylora/testing';
import { describe, expect, it } from 'vitest';
import { evaluate, exportAdapter, finetune, mergeAdapter, type FinetuneOptions } from '../src/index.ts';
import { temporaryPlace, writeTinyModel } from './tiny-model.ts';

/**
 * The whole program on a backend whose arrays JavaScript cannot reach, and whose work waits until somebody
 * awaits a result. Everything must be as on the host backend, bit for bit.
 */
const place = temporaryPlace();
const model = writeTinyModel(place.in('model'), {
  config: { hidden_size: 32, intermediate_size: 64, num_hidden_layers: 2, head_dim: 16 },
  tokenizer: true,
});
const rows = place.in('rows.jsonl');
writeFileSync(
  rows,
  Array.from({ length: 12 }, (_, row) =>
    JSON.stringify({
      input_ids: Array.from({ length: 10 + (row % 3) }, (_, at) => 3 + ((row * 7 + at) % 90)),
    }),
  ).join('\n'),
);

const OPS = opsOf(tensor, quant, loraDynamic);
const newDevice = (): FakeDevice => createFakeDevice({ ops: OPS, burst: 5 });

const options = (outputDir: string): FinetuneOptions => ({
  model,
  dataset: rows,
  ranks: [1, 2, 4],
  microBatchSize: 2,
  maxSteps: 2,
  valSetSize: 2,
  evalSteps: 2,
  saveSteps: 1,
  loraDropout: 0.1,
  outputDir,
});

/** Every file that training or an export leaves, by its hash; logs and reports hold times. */
function filesOf(folder: string): Record<string, string> {
  const hashes: Record<string, string> = {};
  for (const name of readdirSync(folder, { recursive: true }) as string[]) {
    const path = join(folder, name);
    if (!statSync(path).isFile() || !/\.(safetensors|gguf|bin)$/.test(name)) continue;
    hashes[name] = createHash('sha256').update(readFileSync(path)).digest('hex');
  }
  return hashes;
}

/** Runs a job on the host and on the device, and expects the same result without a host access. */
async function onBoth<T>(job: (backend: Backend, name: string) => Promise<T>): Promise<T> {
  const device = newDevice();
  const expected = await job(createHostBackend(), 'host');
  const result = await job(device, 'device');
  expect(result).toEqual(expected);
  expect(device.counts().hostAccesses).toBe(0);
  expect(device.counts().enqueued).toBeGreaterThan(0);
  return result;
}

/** A run's files and the losses of its steps. */
async function trained(backend: Backend, folder: string, changes: Partial<FinetuneOptions>) {
  const losses: number[] = [];
  for await (const event of finetune({ ...options(folder), ...changes, backend }))
    if (event.type === 'step') losses.push(event.loss);
  return { losses, files: filesOf(folder) };
}

describe('on a device that JavaScript cannot reach, as on the host, bit for bit:', () => {
  it.each([
    ['adamw_32bit', {}],
    ['adamw_8bit', { optimizer: 'adamw_8bit' }],
    ['paged_adamw_32bit', { optimizer: 'paged_adamw_32bit', optimizerMemoryBudget: '64KiB' }],
    ['paged_adamw_8bit', { optimizer: 'paged_adamw_8bit', optimizerMemoryBudget: '64KiB' }],
    ['lion_8bit', { optimizer: 'lion_8bit' }],
    ['sgd', { optimizer: 'sgd', learningRate: 0.1 }],
    ['gradient checkpointing', { gradientCheckpointing: true }],
    ['quantization levels', { quantizationLevels: [3, 8], doubleQuantization: false }],
    ['one rank a step', { rankSchedule: 'one', updateRule: 'newest_block' }],
    ['full training', { method: 'none', ranks: undefined, loraDropout: undefined }],
    ['FP4 without double quantization', { quantization: 'fp4', doubleQuantization: false }],
  ] as [string, Partial<FinetuneOptions>][])('training with %s', async (name, changes) => {
    const { losses, files } = await onBoth((backend, side) =>
      trained(backend, place.in(`${name}-${side}`), changes),
    );
    expect(losses).toHaveLength(2);
    expect(Object.keys(files).length).toBeGreaterThan(0);
  });

  it('training with activations that rest beside the device, which the host refuses', async () => {
    const changes = { activationOffload: true };
    const adapterOf = ({ losses, files }: Awaited<ReturnType<typeof trained>>) => ({
      losses,
      adapter: files['adapter/adapter_model.safetensors'],
    });
    const device = newDevice();
    const offloaded = await trained(device, place.in('offloaded'), changes);
    expect(device.counts().hostAccesses).toBe(0);
    expect(adapterOf(offloaded)).toEqual(
      adapterOf(await trained(createHostBackend(), place.in('not-offloaded'), {})),
    );
    await expect(trained(createHostBackend(), place.in('refused'), changes)).rejects.toMatchObject({
      code: 'BAD_CONFIG',
      where: 'activation_offload',
      message: expect.stringContaining('on the backend host they are there already') as string,
    });
  });

  it('a run that stops and resumes, with a paged optimizer', async () => {
    const changes = {
      optimizer: 'paged_adamw_32bit',
      optimizerMemoryBudget: '64KiB',
      maxSteps: 3,
    } as const;
    const whole = await trained(createHostBackend(), place.in('whole'), changes);
    await onBoth(async (backend, side) => {
      const folder = place.in(`resumed-${side}`);
      const controller = new AbortController();
      const first = finetune({ ...options(folder), ...changes, backend, signal: controller.signal });
      const stopped = expect(first.result).rejects.toMatchObject({ code: 'ABORTED' });
      const stop = async (): Promise<void> => {
        for await (const event of first)
          if (event.type === 'checkpoint' && event.step === 2) controller.abort();
      };
      await stop().catch(() => {});
      await stopped;
      const resumed = await trained(side === 'host' ? createHostBackend() : newDevice(), folder, {
        ...changes,
        resumeFromCheckpoint: 'auto',
      });
      expect(resumed.losses.at(-1)).toBe(whole.losses.at(-1));
      return resumed.files['adapter/adapter_model.safetensors'];
    });
  });

  it('judging an adapter at every rank, and a plain model', async () => {
    await trained(createHostBackend(), place.in('judged'), {});
    const adapter = join(place.in('judged'), 'adapter');
    await onBoth(async (backend) => [
      (await evaluate({ model, adapter, ranks: 'all', dataset: rows, backend })).results,
      (await evaluate({ model, dataset: rows, backend })).results,
    ]);
  });

  it('generating text, greedily and drawn', async () => {
    await onBoth(async (backend) => {
      using checkpoint = await openCheckpoint(model);
      const built = loraDynamic.groupFrozenLayers(await buildModel(checkpoint, { backend }));
      const texts: number[][] = [];
      for (const temperature of [0, 1]) {
        const ids: number[] = [];
        const sampling = { maxNewTokens: 6, temperature, seed: 3 };
        for await (const id of generate({ model: built, active: null }, [5, 6, 7], sampling)) ids.push(id);
        texts.push(ids);
      }
      return texts;
    });
  });

  it('cutting, and merging into floats, 4 bits and GGUF', async () => {
    await trained(createHostBackend(), place.in('cut'), {});
    const adapter = join(place.in('cut'), 'adapter');
    await exportAdapter({ adapter, rank: 2, outputDir: place.in('cut-2') });
    for (const merge of [{ dtype: 'f32' }, { dtype: 'nf4' }, { format: 'gguf', dtype: 'f16' }] as const)
      await onBoth(async (backend, side) => {
        const outputDir = place.in(`merged-${merge.dtype}-${side}`);
        const { difference, packingError } = await mergeAdapter({
          model,
          adapter,
          rank: 2,
          outputDir,
          backend,
          ...merge,
        });
        return { difference, packingError, files: filesOf(outputDir) };
      });
  });
});
