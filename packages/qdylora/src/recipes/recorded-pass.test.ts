import { readFileSync, writeFileSync } from 'node:fs';
import { wrapBackend, type Backend, type Recording } from '@qdylora/contract';
import { cpuLevels, createCpuBackend } from '@qdylora/cpu-kernels';
import { createPassRecorder } from '@qdylora/trainer';
import { describe, expect, it } from 'vitest';
import { temporaryPlace, writeTinyModel } from '../../test/tiny-model.ts';
import { finetune, type FinetuneOptions } from '../index.ts';

const folder = temporaryPlace();
const levels = cpuLevels();
const why = levels.available ? '' : `${levels.reason}`;
const model = writeTinyModel(folder.in('model'));

/** Rows of the given lengths, one after another. */
function writeRows(name: string, lengths: readonly number[]): string {
  const path = folder.in(name);
  const rows = Array.from({ length: 32 }, (_, row) => ({
    input_ids: Array.from(
      { length: lengths[row % lengths.length] },
      (_, at) => 3 + ((row * 7 + at * 3) % 90),
    ),
  }));
  writeFileSync(path, rows.map((row) => JSON.stringify(row)).join('\n'));
  return path;
}
const equalRows = writeRows('equal.jsonl', [12]);
const unequalRows = writeRows('unequal.jsonl', [5, 12, 9]);

const BASE = {
  model,
  dataset: equalRows,
  valSetSize: 4,
  evalSteps: 6,
  ranks: [1, 2, 4],
  quantization: 'nf4',
  microBatchSize: 2,
  gradientAccumulationSteps: 2,
  maxSteps: 14,
} as const;

/** A backend that counts replays of recordings. */
function counting(backend: Backend): { readonly backend: Backend; replays: number } {
  const count = { backend, replays: 0 };
  const counted = (recording: Recording): Recording => ({
    ...recording,
    replay(beforePiece) {
      count.replays++;
      recording.replay(beforePiece);
    },
    another: () => counted(recording.another()),
    [Symbol.dispose]: recording[Symbol.dispose],
  });
  return Object.assign(count, {
    backend: wrapBackend(backend, { record: (options) => counted(backend.record!(options)) }),
  });
}

/** Losses of all steps, and the bytes of the adapter. */
async function outcomeOf(name: string, options: Omit<FinetuneOptions, 'outputDir'>): Promise<unknown> {
  const losses: number[] = [];
  const run = finetune({ ...options, outputDir: folder.in(name) });
  for await (const event of run) if (event.type === 'step') losses.push(event.loss);
  const { files } = await run.result;
  const adapter =
    files.adapter && readFileSync(`${files.adapter}/adapter_model.safetensors`).toString('base64');
  return { losses, adapter };
}

describe('a replayed pass', () => {
  it.for<[string, Partial<FinetuneOptions>]>([
    ['sandwich', {}],
    ['rank schedule `one`', { rankSchedule: 'one' }],
    ['newest_block', { rankSchedule: 'one', updateRule: 'newest_block' }],
    ['dropout', { loraDropout: 0.2 }],
    ['quantization levels', { quantization: 'nf4', quantizationLevels: [4, 8], ranks: [4] }],
    ['dropout and checkpointing', { loraDropout: 0.2, gradientCheckpointing: true }],
    ['bf16', { computeDtype: 'bf16' }],
    ['distillation', { distillation: 0.5, distillationTopK: 8 }],
    ['distillation of the drawn rank', { distillation: 0.5, distillationStudent: 'drawn' }],
    ['full training', { method: 'none', ranks: undefined, quantization: 'none' } as Partial<FinetuneOptions>],
  ])('has the bits of one that runs op by op: %s', async ([name, change], { skip }) => {
    skip(!levels.available, why);
    using cpu = await createCpuBackend({ numThreads: 1, regionBytes: 1 << 16 });
    const counted = counting(cpu);
    const options = { ...BASE, ...change };
    const recorded = await outcomeOf(`${name} recorded`, { ...options, backend: counted.backend });
    const plain = wrapBackend(cpu, { record: undefined });
    expect(recorded).toEqual(await outcomeOf(`${name} plain`, { ...options, backend: plain }));
    expect(counted.replays).toBeGreaterThan(12); // of 28 passes, all but those that are recorded
  });

  it('follows shapes that change from pass to pass, and records none of these', async ({ skip }) => {
    skip(!levels.available, why);
    using cpu = await createCpuBackend({ numThreads: 1, regionBytes: 1 << 16 });
    const options = { ...BASE, dataset: unequalRows };
    const recorded = await outcomeOf('changing recorded', { ...options, backend: cpu });
    const plain = wrapBackend(cpu, { record: undefined });
    expect(recorded).toEqual(await outcomeOf('changing plain', { ...options, backend: plain }));
  });

  it('runs where passes of equal tokens and rows begin their rows elsewhere', async ({ skip }) => {
    skip(!levels.available, why);
    using cpu = await createCpuBackend({ numThreads: 1, regionBytes: 1 << 16 });
    // packs of 64 tokens: 33 + 31, or 32 + 32, which need less scratch for attention
    const packed = { dataset: writeRows('packs.jsonl', [33, 31, 32, 32]), packing: true, maxSeqLength: 64 };
    // with this seed the second kind is recorded first
    const options = { ...BASE, ...packed, valSetSize: 0, evalSteps: 0, microBatchSize: 1, seed: 2 };
    const recorded = await outcomeOf('packs recorded', { ...options, backend: cpu });
    const plain = wrapBackend(cpu, { record: undefined });
    expect(recorded).toEqual(await outcomeOf('packs plain', { ...options, backend: plain }));
  });
});

it('a recorder of a backend that cannot record has nothing to free', async ({ skip }) => {
  skip(!levels.available, why);
  using cpu = await createCpuBackend({ numThreads: 1, regionBytes: 1 << 16 });
  const before = cpu.memory.usage().liveBytes;
  const recorder = createPassRecorder(wrapBackend(cpu, { record: undefined }));
  recorder.release();
  recorder.dispose();
  expect(cpu.memory.usage().liveBytes).toBe(before);
});
