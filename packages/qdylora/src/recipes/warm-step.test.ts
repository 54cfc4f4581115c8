import { readFileSync, writeFileSync } from 'node:fs';
import { cpuLevels, createCpuBackend } from '@qdylora/cpu-kernels';
import { describe, expect, it } from 'vitest';
import { temporaryPlace, writeTinyModel } from '../../test/tiny-model.ts';
import { finetune, type FinetuneOptions } from '../index.ts';

const folder = temporaryPlace();
const levels = cpuLevels();
const why = levels.available ? '' : `${levels.reason}`;
/**
 * Wide enough that products and attention are shared among threads, and that quantized layers have whole
 * blocks.
 */
const model = writeTinyModel(folder.in('model'), {
  config: {
    hidden_size: 128,
    intermediate_size: 256,
    num_hidden_layers: 2,
    num_attention_heads: 4,
    num_key_value_heads: 2,
    head_dim: 32,
  },
});
const TOKENS = 48;

const rows = folder.in('rows.jsonl');
writeFileSync(
  rows,
  Array.from({ length: 32 }, (_, row) =>
    JSON.stringify({ input_ids: Array.from({ length: TOKENS }, (_, at) => 3 + ((row * 7 + at * 3) % 90)) }),
  ).join('\n'),
);

const options = (outputDir: string): FinetuneOptions => ({
  model,
  dataset: rows,
  ranks: [1, 2, 4, 8],
  quantization: 'nf4',
  microBatchSize: 2,
  gradientAccumulationSteps: 2,
  maxSteps: 20,
  wideRatio: 0.1,
  loraDropout: 0.1,
  outputDir,
});

describe('a step on the cpu backend', () => {
  it.for([
    ['AdamW', {}],
    ['gradient checkpointing', { gradientCheckpointing: true }],
    ['8-bit AdamW', { optimizer: 'adamw_8bit' }],
    ['a paged optimizer', { optimizer: 'paged_adamw_32bit', optimizerMemoryBudget: '64KiB' }],
  ] as const)('asks the system for no memory once it is warm: %s', async ([name, change], { skip }) => {
    skip(!levels.available, why);
    // so small that each further array would need a region
    using backend = await createCpuBackend({ numThreads: 2, regionBytes: 1 << 12 });
    const reserved: number[] = [];
    for await (const event of finetune({ ...options(folder.in(name)), ...change, backend }))
      if (event.type === 'step') reserved.push(backend.memory.usage().reservedBytes);
    expect(reserved).toHaveLength(20);
    expect(new Set(reserved.slice(4))).toEqual(new Set([reserved[4]]));
  });

  it('has the same bits for any number of threads: a whole run ends in the same adapter', async ({
    skip,
  }) => {
    skip(!levels.available, why);
    const adapters = [];
    for (const numThreads of [1, 2, 3]) {
      const { files } = await finetune({
        ...options(folder.in(`threads-${numThreads}`)),
        backend: 'cpu',
        numThreads,
        maxSteps: 6,
      }).result;
      adapters.push(readFileSync(`${files.adapter!}/adapter_model.safetensors`).toString('base64'));
    }
    expect(new Set(adapters).size).toBe(1);
  });
});
