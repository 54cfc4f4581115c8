import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openSafetensors, writePeftAdapter, writeSafetensors } from '@qdylora/checkpoint';
import { expect, it } from 'vitest';
import { configFile, nf4Bytes, partOf } from '../../test/paper-models.ts';
import { temporaryPlace, TINY_CONFIG, writeTinyModel, writeTinyRows } from '../../test/tiny-model.ts';
import { valuesOfOptions } from '../config/explicit-values.ts';
import { prepareRun } from './run/prepare-run.ts';
import { forecastMemory } from './memory-plan/forecast-memory.ts';
import { openRun } from './finetune.ts';
import { openSession } from './run/run-session.ts';
import { planMemory, type MemoryPlan } from '../index.ts';

const folder = temporaryPlace();

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

it('a plan counts a head that the files have in 4 bits as float32, which it is decoded to', async () => {
  const planOf = (name: string, head: string): Promise<MemoryPlan> => {
    const model = partlyPacked(folder.in(name), null);
    const config = { ...TINY_CONFIG, torch_dtype: 'bfloat16', tie_word_embeddings: false };
    const quantization = { quant_method: 'bitsandbytes', load_in_4bit: true, bnb_4bit_quant_type: 'nf4' };
    writeFileSync(
      join(model, 'config.json'),
      JSON.stringify({ ...config, quantization_config: quantization }),
    );
    writeSafetensors(join(model, 'model.safetensors'), [
      { name: head, dtype: 'U8', shape: [1], bytes: new Uint8Array(1) },
    ]);
    return planMemory({ model, maxSeqLength: 8, loraR: 2, backend: 'host' });
  };
  const [packed, plain] = [
    await planOf('packed-head', 'lm_head.weight.quant_state.bitsandbytes__nf4'),
    await planOf('plain-head', 'something.else'),
  ];
  const { hidden_size: hidden, vocab_size: vocabulary } = TINY_CONFIG;
  expect(partOf(packed, 'base weights') - partOf(plain, 'base weights')).toBe(2 * hidden * vocabulary);
});

it.each([{ quantization: 'none' }, { quantization: 'nf4' }] as const)(
  'a plan counts weights that an adapter holds whole as the run has them: untied, of a grown vocabulary, ' +
    'each in the type that it is stored in (%o)',
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
    const { parts } = await forecastMemory({ ...opened.config, profile: true }, opened, {
      dryBackend: opened.chosen.dry!,
      isOnDevice: false,
      ceilingBytes: 1000,
      model: opened.source.config.raw,
      marks: [],
    });
    const bytesOf = (name: string): number => parts.find(({ part }) => part === name)!.bytes;
    expect(bytesOf('base weights')).toBe(partOf(plan, 'base weights'));
    expect(bytesOf('peak rates of the profile')).toBe(1000);
    await expect(planMemory({ ...options, model: configFile('llama-7b') })).rejects.toThrow(
      /of the adapter is .*; the model needs/,
    );
  },
);
