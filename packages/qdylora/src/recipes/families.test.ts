import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { openCheckpoint, openSafetensors } from '@qdylora/checkpoint';
import { describeModel, FAMILIES } from '@qdylora/models';
import { describe, expect, test } from 'vitest';
import { temporaryPlace, writeTinyRows } from '../../test/tiny-model.ts';
import { evaluate, finetune, mergeAdapter, quantizeFolder } from '../index.ts';

/** Tiny checkpoints that transformers wrote, one a family. */
const MODELS = fileURLToPath(new URL('../../../models/fixtures/', import.meta.url));
const CASE_OF: Readonly<Record<string, string>> = {
  llama: 'llama-gqa',
  mistral: 'mistral-window',
  qwen2: 'qwen2-window',
  qwen3: 'qwen3',
  gemma: 'gemma',
  gemma2: 'gemma2',
  gemma3_text: 'gemma3',
  phi3: 'phi3',
  falcon: 'falcon-40b',
  gpt_neox: 'gpt-neox-parallel',
  gpt2: 'gpt2',
};
const folder = temporaryPlace();
const rows = writeTinyRows(folder.in('rows.jsonl'), 8);
const judged = { dataset: rows, backend: 'host' } as const;

test('every family is here', () => expect(Object.keys(CASE_OF).sort()).toEqual([...FAMILIES.keys()].sort()));

describe.each(Object.entries(CASE_OF))('%s', (family, name) => {
  const model = `${MODELS}${name}`;
  const adapter = folder.in(`${name}/adapter`);

  test(
    'trains on all its linear layers, and merged it says what the adapter said, in the names and shapes ' +
      'of its own checkpoints',
    async () => {
      for await (const _ of finetune({
        ...judged,
        model,
        quantization: 'none',
        ranks: [1, 2],
        maxSteps: 2,
        learningRate: 0.05,
        saveSteps: 0,
        valSetSize: 2,
        outputDir: folder.in(name),
      }));
      const [base, adapted] = [
        await evaluate({ ...judged, model, quantization: 'none' }),
        await evaluate({ ...judged, model, adapter, ranks: [2], quantization: 'none' }),
      ];
      expect(Math.abs(adapted.results[0].loss - base.results[0].loss)).toBeGreaterThan(1e-3);
      const config = JSON.parse(readFileSync(`${adapter}/adapter_config.json`, 'utf8')) as Record<
        string,
        unknown
      >;
      expect(config.fan_in_fan_out).toBe(family === 'gpt2');
      const outputDir = folder.in(`${name}-merged`);
      const { difference } = await mergeAdapter({
        model,
        adapter,
        rank: 2,
        dtype: 'f32',
        quantization: 'none',
        backend: 'host',
        outputDir,
      });
      expect(difference!.largest).toBeLessThan(1e-4); // the same sums in another order
      using unmerged = await openCheckpoint(model);
      using merged = openSafetensors(`${outputDir}/model.safetensors`);
      const shapes = (
        entries: Iterable<{ readonly name: string; readonly shape: readonly number[] }>,
      ): object => Object.fromEntries([...entries].map((entry) => [entry.name, entry.shape]));
      expect(shapes(merged.tensors.values())).toEqual(shapes(unmerged.tensors.values()));
      if (family === 'gemma2')
        expect(readFileSync(`${outputDir}/config.json`, 'utf8')).toMatch(
          /"attn_logit_softcapping": 4\.0,[^]*"final_logit_softcapping": 3\.0,/,
        ); // transformers 5 refuses 4 and 3
    },
  );

  test('quantized into a folder, it is what quantizing at load gives', async () => {
    const outputDir = folder.in(`${name}-nf4`);
    const notices: string[] = [];
    const quantized = await quantizeFolder({
      model,
      backend: 'host',
      outputDir,
      onNotice: (notice) => {
        notices.push(notice);
      },
    });
    expect(notices.some((notice) => notice.includes('transformers'))).toBe(family === 'falcon');
    expect(quantized.layers).toBe(
      describeModel(JSON.parse(readFileSync(`${model}/config.json`, 'utf8')) as Record<string, unknown>)
        .linears.length,
    );
    const [again, loaded] = [
      await evaluate({ ...judged, model: outputDir }),
      await evaluate({ ...judged, model, quantization: 'nf4' }),
    ];
    expect(again.results[0].loss).toBe(loaded.results[0].loss);
    const merged = folder.in(`${name}-merged-nf4`);
    const { packingError, difference } = await mergeAdapter({
      model,
      adapter,
      rank: 2,
      dtype: 'nf4',
      quantization: 'none',
      backend: 'host',
      outputDir: merged,
    });
    expect([packingError! > 0.01 && packingError! < 0.2, Number.isFinite(difference!.largest)]).toEqual([
      true,
      true,
    ]);
  });
});

test('a matrix that files store as [in, out] keeps their dtype in its state', async () => {
  const bf16 = folder.in('gpt2-bf16');
  const outputDir = folder.in('gpt2-bf16-nf4');
  await mergeAdapter({
    model: `${MODELS}gpt2`,
    adapter: folder.in('gpt2/adapter'),
    rank: 1,
    dtype: 'bf16',
    quantization: 'none',
    backend: 'host',
    check: false,
    outputDir: bf16,
  });
  await quantizeFolder({ model: bf16, backend: 'host', outputDir });
  using file = openSafetensors(`${outputDir}/model.safetensors`);
  const states = [...file.tensors.values()]
    .filter((entry) => entry.name.includes('.quant_state.'))
    .map((entry) => (JSON.parse(Buffer.from(entry.readBytes()).toString('utf8')) as { dtype: string }).dtype);
  expect([states.length, new Set(states)]).toEqual([8, new Set(['bfloat16'])]);
});

test.each(['gpt2-hub-names', 'falcon-7b-hub-names', 'llama-mha-hub-names', 'gpt-neox-parallel-hub-names'])(
  '%s: left-over buffers are left behind, and every weight has its full name',
  async (name) => {
    const outputDir = folder.in(name);
    const model = `${MODELS}${name}`;
    await quantizeFolder({ model, backend: 'host', outputDir });
    using file = openSafetensors(`${outputDir}/model.safetensors`);
    const { weights } = describeModel(
      JSON.parse(readFileSync(`${model}/config.json`, 'utf8')) as Record<string, unknown>,
    );
    const weightNames = new Set(weights.map((weight) => weight.name));
    expect(new Set([...file.tensors.keys()].map((key) => key.replace(/\.weight\..+$/, '.weight')))).toEqual(
      weightNames,
    );
    const original = `${MODELS}${name.replace('-hub-names', '')}`;
    expect((await evaluate({ ...judged, model: outputDir })).results[0].loss).toBe(
      (await evaluate({ ...judged, model: original, quantization: 'nf4' })).results[0].loss,
    );
  },
);
