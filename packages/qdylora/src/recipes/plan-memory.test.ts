import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openSafetensors, writePeftAdapter, writeSafetensors } from '@qdylora/checkpoint';
import { loadAddon } from '@qdylora/cpu-kernels';
import { describeModel } from '@qdylora/models';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { temporaryPlace, TINY_CONFIG, writeTinyModel, writeTinyRows } from '../../test/tiny-model.ts';
import { valuesOfOptions } from '../config/explicit-values.ts';
import { prepareRun } from './run/prepare-run.ts';
import { forecastMemory } from './memory-plan/forecast-memory.ts';
import { openRun } from './finetune.ts';
import { openSession } from './run/run-session.ts';
import { planMemory, type MemoryPlan, type PlanMemoryOptions } from '../index.ts';

const folder = temporaryPlace();
const GIB = 2 ** 30;

/**
 * The true config.json values of the paper's models, and what transformers makes of them
 * (packages/models/fixtures).
 */
const PAPER = (
  JSON.parse(
    readFileSync(
      fileURLToPath(new URL('../../../models/fixtures/families/paper-models.json', import.meta.url)),
      'utf8',
    ),
  ) as { models: Record<string, { config: Record<string, unknown> }> }
).models;

function configFile(name: string, config: Readonly<Record<string, unknown>> = PAPER[name].config): string {
  const file = folder.in(`${name}.json`);
  writeFileSync(file, JSON.stringify(config));
  return file;
}

const partOf = ({ parts }: MemoryPlan, name: string): number =>
  parts.find(({ part }) => part === name)?.bytes ?? 0;

/**
 * Bytes of a matrix in NF4 with double quantization, as bitsandbytes stores it: codes, scales of a byte, and
 * a float for each 256 of these.
 */
const nf4Bytes = ([rows, columns]: readonly number[]): number => {
  const blocks = Math.ceil((rows! * columns!) / 64);
  return Math.ceil((rows! * columns!) / 2) + blocks + 4 * Math.ceil(blocks / 256);
};

/**
 * An adapter of one layer that holds a bfloat16 embedding and a float32 head of `rows` rows whole, for the
 * tiny model, which ties them.
 */
async function adapterWithTables(path: string, rows: number): Promise<string> {
  const file = `${path}.safetensors`;
  const { hidden_size: hidden } = TINY_CONFIG;
  writeSafetensors(file, [
    {
      name: 'model.embed_tokens.weight',
      dtype: 'BF16',
      shape: [rows, hidden],
      bytes: new Uint8Array(2 * rows * hidden),
    },
    { name: 'lm_head.weight', dtype: 'F32', shape: [rows, hidden], bytes: new Uint8Array(4 * rows * hidden) },
  ]);
  using tables = openSafetensors(file);
  await writePeftAdapter(path, {
    layers: [
      {
        name: 'model.layers.0.self_attn.q_proj',
        a: new Float32Array(4 * hidden).fill(0.1),
        b: new Float32Array(hidden * 4),
      },
    ],
    rank: 4,
    loraAlpha: 8,
    targetModules: ['q_proj'],
    saved: tables.tensors,
    modulesToSave: ['embed_tokens', 'lm_head'],
  });
  return path;
}

/**
 * A folder that says it is 4-bit and skips nothing, with one matrix in its files that is in bfloat16 all the
 * same, under a name of files saved without a head.
 */
function partlyPacked(path: string, plain: string | null): string {
  const { hidden_size: hidden } = TINY_CONFIG;
  mkdirSync(path);
  writeFileSync(
    join(path, 'config.json'),
    JSON.stringify({
      ...TINY_CONFIG,
      quantization_config: { quant_method: 'bitsandbytes', load_in_4bit: true, bnb_4bit_quant_type: 'nf4' },
    }),
  );
  if (plain)
    writeSafetensors(join(path, 'model-00001-of-00002.safetensors'), [
      { name: plain, dtype: 'BF16', shape: [hidden, hidden], bytes: new Uint8Array(2 * hidden * hidden) },
    ]);
  return path;
}

it(
  'a plan counts a matrix as it is that the files of a 4-bit model have in more bits, though nothing says ' +
    'that it is skipped',
  async () => {
    const planOf = (name: string, plain: string | null): Promise<MemoryPlan> =>
      planMemory({ model: partlyPacked(folder.in(name), plain), maxSeqLength: 8, loraR: 2, backend: 'host' });
    const [packed, plain] = [
      await planOf('all-packed', null),
      await planOf('one-plain', 'layers.0.self_attn.q_proj.weight'),
    ];
    const { hidden_size: hidden } = TINY_CONFIG;
    const grows = partOf(plain, 'base weights') - partOf(packed, 'base weights');
    expect(grows).toBeGreaterThan(
      2 * hidden * hidden - nf4Bytes([hidden, hidden]) - 4 * (16 + 256 + 1) - 64 * 6,
    );
    expect(grows).toBeLessThanOrEqual(2 * hidden * hidden);
  },
);

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

  it.each([{ quantization: 'none' }, { quantization: 'nf4' }] as const)(
    'counts weights that an adapter holds whole as the run has them: untied, of a grown vocabulary, each ' +
      'in the type that it is stored in (%o)',
    async ({ quantization }) => {
      const place = folder.in(`whole-${quantization}`);
      const model = writeTinyModel(`${place}-model`);
      const adapter = await adapterWithTables(`${place}-adapter`, 120);
      const plain = await planMemory({ model, backend: 'host', quantization });
      const options = {
        model,
        adapter,
        backend: 'host',
        quantization,
        dataset: writeTinyRows(`${place}.jsonl`),
        outputDir: `${place}-run`,
      } as const;
      const plan = await planMemory(options);
      const session = openSession({ backend: 'host' });
      using opened = await openRun(prepareRun(valuesOfOptions(options)), session);
      const { model: runModel, adapted } = opened.run;
      const tables = (120 - 104) * 16 + 120 * 16;
      expect([plan.parameterCount, plan.trainableCount]).toEqual([
        runModel.parameterCount,
        adapted!.report.trainableCount,
      ]);
      expect(plan.parameterCount).toBe(plain.parameterCount + tables);
      expect(partOf(plan, 'base weights') + partOf(plan, 'adapter')).toBe(
        runModel.backend.memory.usage().liveBytes,
      );
      const forecast = await forecastMemory(opened.config, opened, {
        dryBackend: opened.chosen.dry!,
        model: opened.source.config.raw,
        marks: [],
      });
      expect(forecast.parts.find(({ part }) => part === 'base weights')!.bytes).toBe(
        partOf(plan, 'base weights'),
      );
      await expect(planMemory({ ...options, model: configFile('llama-7b') })).rejects.toThrow(
        /of the adapter is .*; the model needs/,
      );
    },
  );

  it(
    'says that rows may be longer than the positions that a model knows, as training does: scaled angles ' +
      'reach further, ALiBi not',
    async () => {
      const llama = { ...PAPER['llama-7b'].config, num_hidden_layers: 1 };
      const falcon = {
        ...PAPER['falcon-40b'].config,
        num_hidden_layers: 1,
        alibi: true,
        new_decoder_architecture: false,
      };
      const notesOf = async (
        config: Readonly<Record<string, unknown>>,
        maxSeqLength: number,
      ): Promise<readonly string[]> =>
        (
          await planMemory({
            model: configFile('positions', config),
            maxSeqLength,
            microBatchSize: 1,
            backend: 'host',
          })
        ).notes;
      const linear = { rope_scaling: { type: 'linear', factor: 2 } };
      const yarn = { rope_scaling: { type: 'yarn', factor: 4, original_max_position_embeddings: 1024 } };
      for (const [config, positions] of [
        [llama, 2048],
        [{ ...llama, ...linear }, 4096],
        [{ ...llama, ...yarn }, 4096],
        [falcon, 2048],
      ] as const) {
        expect(await notesOf(config, positions)).toEqual([]);
        expect(await notesOf(config, positions + 1)).toEqual([
          expect.stringMatching(
            `^Rows may have up to ${positions + 1} tokens, and the model was trained with ${positions} positions`,
          ),
        ]);
      }
    },
  );

  it(
    'of a model whose positions end judges rows of the length that the keys allow, and refuses longer ' +
      'ones as training does',
    async () => {
      const planOptions = {
        model: configFile('gpt2', {
          model_type: 'gpt2',
          n_positions: 96,
          vocab_size: 100,
          n_embd: 16,
          n_layer: 1,
          n_head: 2,
        }),
        backend: 'host',
        quantization: 'none',
        valSetSize: 4,
      } as const;
      for (const maxSeqLength of [40, 96])
        expect((await planMemory({ ...planOptions, maxSeqLength })).notes).toEqual([]);
      await expect(planMemory({ ...planOptions, maxSeqLength: 97 })).rejects.toThrow(
        /at most 96 tokens \(got position 96/,
      );
    },
  );

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
