import { loadAddon } from '@qdylora/cpu-kernels';
import { describeModel } from '@qdylora/models';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { configFile, nf4Bytes, PAPER, partOf } from '../../test/paper-models.ts';
import { TINY_CONFIG } from '../../test/tiny-model.ts';
import { planMemory, type MemoryPlan, type PlanMemoryOptions } from '../index.ts';
import { chooseBackend } from './opening/choose-backend.ts';

const GIB = 2 ** 30;

describe('a plan from config.json alone', () => {
  it.each(Object.keys(PAPER))(
    'of %s has weights, adapter, gradients and states that the formulas give',
    async (name) => {
      const { config } = PAPER[name];
      const plan = await planMemory({
        model: configFile(name),
        maxSeqLength: 512,
        microBatchSize: 1,
        backend: 'host',
      });
      const { linears, weights } = describeModel(config);
      const adapted = linears.reduce((sum, { shape: [out, inner] }) => sum + 64 * (out + inner), 0);
      const packed = new Set(linears.map((linear) => `${linear.name}.weight`));
      const tableBytes = config.torch_dtype === 'bfloat16' ? 2 : 4;
      const base =
        linears.reduce((sum, { shape }) => sum + nf4Bytes(shape), 0) +
        weights
          .filter((weight) => !packed.has(weight.name))
          .reduce(
            (sum, { shape }) => sum + shape.reduce((a, b) => a * b, shape.length === 2 ? tableBytes : 4),
            0,
          );
      expect([plan.trainableCount, plan.adaptedLayers]).toEqual([adapted, linears.length]);
      // Beside them there are 16 levels and 256 of the scales for each matrix, and what alignment takes.
      const tables = linears.length * (16 * 4 + 256 * 4 + 4);
      const near = (bytes: number, arrays: number) => [bytes, bytes + 64 * arrays] as const;
      for (const [part, [least, most]] of Object.entries({
        'base weights': [base, base + tables + 64 * 6 * linears.length],
        adapter: near(4 * adapted, 2 * linears.length),
        gradients: near(4 * adapted, 2 * linears.length),
        'optimizer states': near(8 * adapted, 4 * linears.length),
      })) {
        expect(partOf(plan, part), part).toBeGreaterThanOrEqual(least!);
        expect(partOf(plan, part), part).toBeLessThanOrEqual(most!);
      }
    },
  );

  it(
    "of Falcon-40b at ranks 1 to 64 on all linear layers fits the paper's card of 32 GB, tied or not, and " +
      'not without double quantization at 16 rows',
    async () => {
      const planOptions = {
        maxSeqLength: 512,
        microBatchSize: 1,
        gradientCheckpointing: true,
        optimizer: 'adamw_32bit',
        memoryBytes: 31.75 * GIB,
        backend: 'host',
      } as const;
      for (const [name, parameters] of [
        ['falcon-40b', 41_303_293_952],
        ['falcon-40b-untied', 41_835_970_560],
      ] as const) {
        const plan = await planMemory({ model: configFile(name), ...planOptions });
        expect([plan.parameterCount, plan.config.ranks, plan.limit]).toEqual([
          parameters,
          [1, 2, 4, 8, 16, 32, 64],
          { memoryBytes: 31.75 * GIB, fits: true, fit: null },
        ]);
        expect(plan.totalBytes / GIB).toBeLessThan(30);
      }
      const { limit } = await planMemory({
        model: configFile('falcon-40b'),
        ...planOptions,
        microBatchSize: 16,
        doubleQuantization: false,
      });
      expect(limit).toMatchObject({
        fits: false,
        fit: { values: { micro_batch_size: expect.any(Number) as number } },
      });
    },
  );

  it('names the keys that make it fit, and says when none does', async () => {
    const model = configFile('llama-7b');
    const planOptions = { model, backend: 'host', gradientCheckpointing: false } as const;
    const { limit } = await planMemory({ ...planOptions, memoryBytes: 8 * GIB });
    expect(limit!.fit!.values).toEqual({
      gradient_checkpointing: true,
      micro_batch_size: 1,
      gradient_accumulation_steps: 8,
    });
    const changed = await planMemory({
      ...planOptions,
      gradientCheckpointing: true,
      microBatchSize: 1,
      gradientAccumulationSteps: 8,
    });
    const bytesOfRun = (plan: MemoryPlan): number =>
      plan.totalBytes - partOf(plan, 'Node, program and kernels');
    expect(bytesOfRun(changed)).toBeLessThan(8 * GIB);
    expect((await planMemory({ ...planOptions, memoryBytes: 2 * GIB })).limit).toEqual({
      memoryBytes: 2 * GIB,
      fits: false,
      fit: null,
    });
  });

  it(
    'runs as few layers again as fit into the memory that gradient_checkpointing names, and says how much ' +
      'it needs at least',
    async () => {
      const planOptions = {
        model: configFile('llama-7b'),
        backend: 'host',
        microBatchSize: 1,
        maxSeqLength: 512,
      } as const;
      const most = await planMemory({ ...planOptions, gradientCheckpointing: false });
      const least = await planMemory(planOptions);
      const between = Math.round((most.totalBytes + least.totalBytes) / 2);
      const plan = await planMemory({ ...planOptions, gradientCheckpointing: `${between}B` });
      const { first } = plan.recompute as { first: number };
      expect([plan.totalBytes <= between, first > 0, first < 32]).toEqual([true, true, true]);
      const layerBytes = (most.totalBytes - least.totalBytes) / 32;
      expect(plan.totalBytes).toBeGreaterThan(between - 2 * layerBytes); // one layer less would not fit
      expect((await planMemory({ ...planOptions, gradientCheckpointing: '1000GiB' })).recompute).toEqual({
        first: 0,
      });
      await expect(planMemory({ ...planOptions, gradientCheckpointing: '2GiB' })).rejects.toThrow(
        /needs at least [67]\.\d+ GB even if every layer is recomputed, more than 2GiB/,
      );
    },
  );

  it(
    'needs less with recomputation, fewer rows, shorter rows, smaller ranks, 8-bit states and packed ' +
      'weights: for any model',
    async () => {
      const shapes = fc.record({
        hidden: fc.constantFrom(64, 128),
        layers: fc.integer({ min: 2, max: 4 }),
        intermediate: fc.constantFrom(128, 256),
      });
      await fc.assert(
        fc.asyncProperty(shapes, async ({ hidden, layers, intermediate }) => {
          const model = configFile('tiny', {
            ...TINY_CONFIG,
            hidden_size: hidden,
            num_hidden_layers: layers,
            intermediate_size: intermediate,
            num_attention_heads: 2,
            num_key_value_heads: 2,
            head_dim: hidden / 2,
          });
          const arrays = async (options: PlanMemoryOptions): Promise<number> =>
            (
              await planMemory({
                model,
                backend: 'host',
                maxSeqLength: 128,
                loraR: 64,
                gradientCheckpointing: false,
                quantization: 'none',
                ...options,
              })
            ).parts
              .filter(({ part }) => !/Node|thread|JavaScript|gaps/.test(part))
              .reduce((sum, { bytes }) => sum + bytes, 0);
          const all = await arrays({});
          for (const less of [
            { gradientCheckpointing: true },
            { microBatchSize: 1 },
            { maxSeqLength: 64 },
            { loraR: 32 },
            { optimizer: 'adamw_8bit' },
            { quantization: 'nf4' },
          ] as const)
            expect(await arrays(less), JSON.stringify(less)).toBeLessThan(all);
        }),
        { numRuns: 3 },
      );
    },
  );

  it('counts the workspaces of the C++ kernels where they run', async ({ skip }) => {
    const loaded = loadAddon();
    skip(!loaded.addon, `the addon does not load: ${loaded.addon ? '' : loaded.reason}`);
    expect(
      partOf(
        await planMemory({ model: configFile('llama-7b'), backend: 'cpu', numThreads: 2 }),
        'workspaces of kernels',
      ),
    ).toBeGreaterThan(2 ** 20);
  });

  it(
    'refuses what training would refuse: a family that is not known, a packing that is not read, a key ' +
      'that is not one',
    async () => {
      await expect(planMemory({ model: configFile('bert', { model_type: 'bert' }) })).rejects.toThrow(
        /bert[\s\S]*llama/,
      );
      await expect(
        planMemory({
          model: configFile('gptq', {
            ...PAPER['llama-7b'].config,
            quantization_config: { quant_method: 'gptq' },
          }),
        }),
      ).rejects.toThrow(/quantized with gptq/);
      await expect(planMemory({ model: configFile('llama-7b'), loraR: -1 })).rejects.toThrow(/loraR/);
      await expect(planMemory({})).rejects.toThrow(/`model` has no value/);
    },
  );
});

it('a profile adds the memory of its peak rates, where they are measured', async () => {
  const part = 'peak rates of the profile';
  const bytesFor = async (options: Pick<PlanMemoryOptions, 'backend' | 'profile'>): Promise<number> => {
    const { parts } = await planMemory({ model: configFile('llama-7b'), maxSeqLength: 64, ...options });
    return parts.find((one) => one.part === part)?.bytes ?? 0;
  };
  using cpu = await chooseBackend('auto');
  expect(await bytesFor({ backend: 'auto', profile: true })).toBe(cpu.ceilingBytes);
  expect(await bytesFor({ backend: 'auto' })).toBe(0);
  expect(await bytesFor({ backend: 'host', profile: true })).toBe(0);
});
