import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openByteSource, openCheckpoint, openSafetensors, readGguf } from '@qdylora/checkpoint';
import { RANK_SCALINGS } from '@qdylora/lora-dynamic';
import { beforeAll, describe, expect, it } from 'vitest';
import { writeTinyModel } from '../../test/tiny-model.ts';
import { rejection, run, tinyRun } from '../../test/tiny-run.ts';
import { valuesOfOptions } from '../config/explicit-values.ts';
import { evaluate, exportAdapter, mergeAdapter, quantizeFolder } from '../index.ts';
import { mergeFrom } from './merge-adapter.ts';

const { folder, model, common, judged } = tinyRun();

beforeAll(async () => {
  await run({ ...common, outputDir: folder.in('first') });
});

describe('an adapter of PEFT that holds weights whole', () => {
  const fixture = fileURLToPath(
    new URL('../../../checkpoint/fixtures/peft/adapters/modules-to-save', import.meta.url),
  );
  const base = writeTinyModel(folder.in('wider'), {
    config: {
      num_hidden_layers: 2,
      hidden_size: 64,
      vocab_size: 128,
      num_attention_heads: 8,
      num_key_value_heads: 4,
      tie_word_embeddings: false,
    },
  });
  const bytes = (path: string): string =>
    readFileSync(join(path, 'adapter_model.safetensors')).toString('base64');

  it('has the same bytes after a run in which nothing moves, and after an export at its rank', async () => {
    const outputDir = folder.in('from-peft');
    const still = { ...common, ranks: undefined, learningRate: 1e-30, maxSteps: 1 };
    const events = await run({ ...still, model: base, adapter: fixture, outputDir });
    const notices = events.flatMap((event) => (event.type === 'notice' ? [event.message] : []));
    expect(notices).toContainEqual(
      expect.stringMatching(/replaces whole weights .*: lm_head\.weight, model\.embed_tokens\.weight/),
    );
    expect(bytes(folder.in('from-peft/adapter'))).toBe(bytes(fixture));
    const exported = folder.in('from-peft-r8');
    await exportAdapter({ adapter: folder.in('from-peft/adapter'), rank: 8, outputDir: exported });
    expect(bytes(exported)).toBe(bytes(fixture));
  });

  it('is refused as GGUF, which has no place for them', async () => {
    const outputDir = folder.in('from-peft-gguf');
    const refused = await rejection(() =>
      exportAdapter({ adapter: fixture, format: 'gguf', model: base, outputDir }),
    );
    expect(refused.message).toMatch(/also holds lm_head\.weight/);
  });

  it('merges them into the base', async () => {
    const outputDir = folder.in('from-peft-merged');
    const float = { dtype: 'f32', quantization: 'none', backend: 'host' } as const;
    const { difference } = await mergeAdapter({ ...float, model: base, adapter: fixture, outputDir });
    expect(difference!.largest).toBeLessThan(1e-4);
    using merged = await openCheckpoint(outputDir);
    using whole = openSafetensors(join(fixture, 'adapter_model.safetensors'));
    expect([...merged.tensors.get('lm_head.weight')!.readFloat32()]).toEqual([
      ...whole.tensors.get('base_model.model.lm_head.weight')!.readFloat32(),
    ]);
  });
});

describe('what a run leaves behind', () => {
  it('a merge that is interrupted leaves nothing', async () => {
    const place = folder.in('interrupted');
    const options = {
      model,
      adapter: folder.in('first/adapter'),
      backend: 'host',
      outputDir: join(place, 'm'),
    };
    const merging = mergeFrom(valuesOfOptions(options), { signal: AbortSignal.abort('Ctrl-C') });
    await expect(merging).rejects.toMatchObject({ code: 'ABORTED', cause: 'Ctrl-C' });
    expect(existsSync(place) ? readdirSync(place) : []).toEqual([]);
  });

  it('an evaluation that is interrupted before it begins does not look for its rows', async () => {
    const options = { ...judged, dataset: folder.in('absent.jsonl'), signal: AbortSignal.abort('Ctrl-C') };
    await expect(evaluate(options)).rejects.toMatchObject({ code: 'ABORTED', cause: 'Ctrl-C' });
  });

  it('says the same through adapter, export and merge, at the same rank', async () => {
    const adapter = folder.in('first/adapter');
    const { results } = await evaluate({ ...judged, adapter, ranks: [2, 4] });
    await exportAdapter({ adapter, rank: 2, outputDir: folder.in('r2') });
    await mergeAdapter({
      model,
      adapter,
      rank: 2,
      dtype: 'f32',
      backend: 'host',
      outputDir: folder.in('merged'),
    });
    const exported = await evaluate({ ...judged, adapter: folder.in('r2'), ranks: [2] });
    const merged = await evaluate({ ...judged, model: folder.in('merged') });
    expect(results.map(({ rank }) => rank)).toEqual([2, 4]);
    expect(exported.results[0].loss).toBe(results[0].loss);
    expect(merged.results[0].loss).toBeCloseTo(results[0].loss, 5);
  });

  it.each(RANK_SCALINGS)(
    'under lora_scaling %s a slice has the losses of its adapter',
    async (loraScaling) => {
      const at = (name: string): string => folder.in(`${name}-${loraScaling}`);
      await run({ ...common, loraScaling, maxSteps: 2, outputDir: at('run') });
      const adapter = join(at('run'), 'adapter');
      await exportAdapter({ adapter, rank: 2, outputDir: at('slice') });
      const lossesOf = async (path: string): Promise<number[]> =>
        (await evaluate({ ...judged, adapter: path, ranks: [1, 2] })).results.map(({ loss }) => loss);
      const losses = await lossesOf(adapter);
      expect(losses[0]).not.toBe(losses[1]);
      expect(await lossesOf(at('slice'))).toEqual(losses);
    },
  );

  it(
    'merges into every type and format, opens the result, and says how far it is from the base with its ' +
      'adapter',
    async () => {
      const adapter = folder.in('first/adapter');
      const merge = (
        format: 'safetensors' | 'gguf',
        dtype: 'f32' | 'bf16' | 'f16' | 'q8_0' | 'nf4',
        name: string,
      ) => mergeAdapter({ model, adapter, format, dtype, backend: 'host', outputDir: folder.in(name) });
      const exact = await merge('gguf', 'f32', 'as-gguf');
      const half = await merge('safetensors', 'f16', 'as-f16');
      const eight = await merge('gguf', 'q8_0', 'as-q8');
      const packed = await merge('safetensors', 'nf4', 'as-nf4');
      expect([
        exact.difference!.largest < 1e-5,
        exact.difference!.tokens,
        exact.difference!.agreement,
        exact.packingError,
      ]).toEqual([true, 48, 1, null]);
      expect(half.difference!.largest).toBeGreaterThan(exact.difference!.largest);
      expect(half.difference!.largest).toBeLessThan(packed.difference!.largest);
      // rows of 16 and 24 are no multiples of 32: they are F16
      expect(eight.difference!.largest).toBeLessThan(0.1);
      // NF4 of normal weights is off by about 9 %
      expect([packed.packingError! > 0.03, packed.packingError! < 0.15]).toEqual([true, true]);
      expect(readdirSync(folder.in('as-gguf')).sort()).toEqual(['manifest.json', 'model.gguf']);
      const merged = await evaluate({ ...judged, model: folder.in('as-gguf') });
      const { results } = await evaluate({ ...judged, adapter, ranks: [4] });
      expect(merged.results[0].loss).toBeCloseTo(results[0].loss, 5);
      expect((await rejection(() => merge('gguf', 'nf4', 'never'))).code).toBe('BAD_CONFIG');
      expect(
        (await rejection(() => mergeAdapter({ model: 'nowhere', adapter, outputDir: folder.in('as-f16') })))
          .code,
      ).toBe('NOT_EMPTY'); // said first
    },
  );

  it('exports as GGUF with the scale of its rank, and needs the base for that', async () => {
    const adapter = folder.in('first/adapter');
    await exportAdapter({ adapter, rank: 2, format: 'gguf', model, outputDir: folder.in('r2-gguf') });
    const source = openByteSource(folder.in('r2-gguf/adapter.gguf'), 'gguf');
    const { metadata, tensors } = readGguf(source);
    source.close();
    expect(Object.fromEntries(metadata)).toMatchObject({
      'general.architecture': 'llama',
      'general.type': 'adapter',
      'adapter.type': 'lora',
      'adapter.lora.alpha': 8 * (2 + 0.75),
    }); // llama.cpp divides by the rank
    expect(tensors.get('blk.0.attn_q.weight.lora_a')!.shape).toEqual([2, 16]);
    expect(tensors.get('blk.0.attn_q.weight.lora_b')!.shape).toEqual([16, 2]);
    expect(
      (
        await rejection(() =>
          exportAdapter({ adapter, rank: 2, format: 'gguf', outputDir: folder.in('never') }),
        )
      ).code,
    ).toBe('BAD_CONFIG');
  });

  it('is an ordinary LoRA adapter to a reader that does not know the sidecar', async () => {
    const bare = folder.in('bare');
    mkdirSync(bare);
    for (const name of ['adapter_config.json', 'adapter_model.safetensors'])
      writeFileSync(join(bare, name), readFileSync(folder.in(`first/adapter/${name}`)));
    const whole = await evaluate({ ...judged, adapter: folder.in('first/adapter'), ranks: [4] });
    const read = await evaluate({ ...judged, adapter: bare });
    expect(read.results.map(({ rank }) => rank)).toEqual([4]);
    expect(read.results[0].loss).toBeCloseTo(whole.results[0].loss, 5);
    expect((await rejection(() => evaluate({ ...judged, adapter: bare, ranks: [2] }))).code).toBe(
      'BAD_ADAPTER',
    );
  });

  it('has no path, time or host in the adapter', () => {
    for (const name of ['adapter_config.json', 'qdylora.json'])
      expect(readFileSync(folder.in(`first/adapter/${name}`), 'utf8')).not.toMatch(/\/|20\d\d-/);
  });

  it('is refused around a model of other shapes, and only warned about around other weights', async () => {
    const narrow = writeTinyModel(folder.in('narrow'), { config: { intermediate_size: 20 } });
    const other = writeTinyModel(folder.in('other'), { seed: 6 });
    const notices: string[] = [];
    const adapter = folder.in('first/adapter');
    expect((await rejection(() => evaluate({ ...judged, model: narrow, adapter }))).code).toBe('BAD_ADAPTER');
    const asGguf = { adapter, format: 'gguf', model: narrow, outputDir: folder.in('narrow-gguf') } as const;
    expect((await rejection(() => exportAdapter(asGguf))).message).toMatch(
      /narrow has \[16, 20\] at .*down_proj, but the adapter was trained on \[16, 24\]/,
    );
    await evaluate({
      ...judged,
      model: other,
      adapter,
      ranks: [1],
      onNotice: (message) => notices.push(message),
    });
    expect(notices).toEqual([expect.stringMatching(/model \(fingerprint .*other/)]);
    await evaluate({ ...judged, adapter, ranks: [3], onNotice: (message) => notices.push(message) });
    const untrained = 'Rank 3 was not trained: the trained ranks of this adapter are 1, 2, 4.';
    expect(notices.at(-1)).toBe(untrained);
    notices.length = 0;
    const merged = { model, adapter, rank: 3, outputDir: folder.in('merged-at-3'), check: false } as const;
    await mergeAdapter({ ...merged, backend: 'host', onNotice: (message) => notices.push(message) });
    expect(notices).toContain(untrained);
  });

  it('goes with its base and with what quantize writes from it, without a warning, both ways', async () => {
    const packed = folder.in('packed');
    await quantizeFolder({ model, outputDir: packed, backend: 'host' });
    const trainedOnPacked = folder.in('on-packed');
    await run({ ...common, model: packed, quantization: 'nf4', outputDir: trainedOnPacked });
    const notices: string[] = [];
    const onNotice = (message: string): number => notices.push(message);
    const options = { ...judged, quantization: 'nf4', ranks: [1], onNotice } as const;
    await evaluate({ ...options, model: packed, adapter: folder.in('first/adapter') });
    await evaluate({ ...options, model, adapter: `${trainedOnPacked}/adapter` });
    expect(notices).toEqual([]);
    const merged = folder.in('merged-packed');
    await mergeAdapter({ model: packed, adapter: folder.in('first/adapter'), outputDir: merged, rank: 1 });
    await evaluate({ ...options, model: merged, adapter: folder.in('first/adapter') });
    expect(notices).toEqual([expect.stringMatching(/trained on other weights/)]);
  });

  it.each([
    [0, 'BAD_CONFIG'],
    [5, 'BAD_ARGUMENT'],
  ])('has no rank %i (%s)', async (rank, code) => {
    expect(
      (
        await rejection(() =>
          exportAdapter({ adapter: folder.in('first/adapter'), rank, outputDir: folder.in('never') }),
        )
      ).code,
    ).toBe(code);
    expect(existsSync(folder.in('never'))).toBe(false);
  });
});
