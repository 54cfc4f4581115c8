import { readdirSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { QdyloraError } from '@qdylora/contract';
import { hfConfigOf, readHfConfig } from './hf-config.ts';
import { errorOf } from '../test-support/error-of.ts';
import { fixturePath } from '../test-support/fixture-path.ts';

const config = (raw: Record<string, unknown>) => hfConfigOf('config.json', { model_type: 'llama', ...raw });

describe('both spellings of a config', () => {
  const cases = readdirSync(fixturePath('models')).filter((name) =>
    readdirIfFolder(name).includes('config.legacy.json'),
  );

  it.each(cases)('%s: transformers 4 and 5 say the same', (name) => {
    const now = readHfConfig(fixturePath(`models/${name}/config.json`));
    const before = readHfConfig(fixturePath(`models/${name}/config.legacy.json`));
    const withoutRaw = (of: { raw: unknown } | undefined): object => ({ ...of, raw: null });
    for (const layerType of ['full_attention', 'sliding_attention'])
      expect(withoutRaw(before.ropeOf(layerType))).toEqual(withoutRaw(now.ropeOf(layerType)));
    expect([before.dtype, before.modelType, before.quantization]).toEqual([
      now.dtype,
      now.modelType,
      now.quantization,
    ]);
  });

  it('were compared for most fixtures', () => expect(cases.length).toBeGreaterThan(20));

  function readdirIfFolder(name: string): string[] {
    return name.includes('.') || name === 'SHA256SUMS' ? [] : readdirSync(fixturePath(`models/${name}`));
  }
});

describe('GPT-2 with the names of other families', () => {
  it('is the same model (AutoConfig of transformers 5.24: the other name wins)', () => {
    const json = {
      model_type: 'gpt2',
      hidden_size: 32,
      num_hidden_layers: 2,
      num_attention_heads: 4,
      max_position_embeddings: 64,
      n_embd: 48,
      n_layer: null,
    };
    const c = hfConfigOf('config.json', json);
    expect(['n_embd', 'n_layer', 'n_head', 'n_positions'].map((key) => c.integer(key))).toEqual([
      32, 2, 4, 64,
    ]);
    expect(
      hfConfigOf('config.json', { model_type: 'gpt2', n_embd: 48, hidden_size: null }).integer('n_embd'),
    ).toBe(48);
    expect(config({ hidden_size: 8 }).has('n_embd')).toBe(false);
  });

  it('and n_embed of Falcon is its hidden_size', () => {
    const falcon = (raw: object) =>
      hfConfigOf('config.json', { model_type: 'falcon', hidden_size: 32, ...raw });
    expect(falcon({ n_embed: 64 }).integer('hidden_size')).toBe(64);
    expect(falcon({ n_embed: null }).integer('hidden_size')).toBe(32);
  });
});

describe('what is read', () => {
  it('rope scaling by type, with its parameters', () => {
    const { rope } = readHfConfig(fixturePath('models/llama-rope-llama3/config.json'));
    expect(rope).toMatchObject({
      type: 'llama3',
      theta: 10_000,
      factor: 8,
      lowFreqFactor: 1,
      highFreqFactor: 4,
      originalMaxPositionEmbeddings: 32,
      partialRotaryFactor: 1,
    });
    expect(config({ rope_scaling: { type: 'linear', factor: 2 } }).rope).toMatchObject({
      type: 'linear',
      factor: 2,
    });
    expect(
      readHfConfig(fixturePath('models/gpt-neox-parallel/config.legacy.json')).rope.partialRotaryFactor,
    ).toBe(0.25);
  });

  it('layers of different kinds have their own', () => {
    const gemma = readHfConfig(fixturePath('models/gemma3/config.json'));
    expect(gemma.ropeOf('sliding_attention')).toMatchObject({ type: 'default', theta: 100 });
    expect(gemma.ropeOf('full_attention')).toMatchObject({ type: 'linear', theta: 10_000, factor: 4 });
    expect(gemma.rope).toBe(gemma.ropeOf('full_attention'));
    for (const parameters of [{}, { rope_parameters: { full_attention: {}, sliding_attention: {} } }]) {
      const { rope } = hfConfigOf('config.json', { model_type: 'gemma3_text', ...parameters });
      expect(rope.theta).toBe(1e6); // the default of transformers
    }
  });

  it(
    'rope scaling beside rope_parameters only where it says the same, as a file for transformers 4 and 5 ' +
      'has it',
    () => {
      const both = { rope_theta: 5e5, rope_parameters: { rope_type: 'linear', rope_theta: 5e5, factor: 2 } };
      expect(config({ ...both, rope_scaling: { type: 'linear', factor: 2 } }).rope).toMatchObject({
        type: 'linear',
        theta: 5e5,
        factor: 2,
      });
      for (const nothing of [null, {}])
        expect(config({ ...both, rope_scaling: nothing }).rope.factor).toBe(2);
      for (const other of [
        { type: 'linear', factor: 4 },
        { type: 'yarn', factor: 2 },
      ])
        expect(errorOf(() => config({ ...both, rope_scaling: other }), 'BAD_CONFIG').message).toMatch(
          /`rope_scaling` must be the same as in rope_parameters/,
        );
      expect(
        errorOf(
          () => config({ ...both, rope_theta: 1e4, rope_scaling: { type: 'linear', factor: 2 } }),
          'BAD_CONFIG',
        ).message,
      ).toMatch(/rope_scaling/); // another base
      errorOf(
        () =>
          config({
            rope_parameters: { full_attention: { rope_type: 'default' } },
            rope_scaling: { type: 'linear', factor: 2 },
          }),
        'BAD_CONFIG',
      );
    },
  );

  it('bitsandbytes quantization, and null without', () => {
    expect(readHfConfig(fixturePath('models/llama-nf4-double-bf16/config.json')).quantization).toMatchObject({
      method: 'bitsandbytes',
      loadIn4bit: true,
      quantType: 'nf4',
      doubleQuantization: true,
      skipModules: [],
    });
    expect(config({}).quantization).toBeNull();
    expect(config({ quantization_config: { quant_method: 'gptq', bits: 4 } }).quantization).toMatchObject({
      method: 'gptq',
      loadIn4bit: false,
      raw: { bits: 4 },
    });
  });

  it('values of the wrong kind are errors that name file and key', () => {
    const c = config({ hidden_size: '576', big: 2 ** 60, eps: Infinity, tie: 1, list: ['a', 1], gone: null });
    expect(errorOf(() => c.integer('hidden_size'), 'BAD_CONFIG').message).toBe(
      '[config] config.json: `hidden_size` must be a whole number (got string "576"). Correct the file, ' +
        'or take the checkpoint from its source again.',
    );
    for (const read of [
      () => c.integer('big'),
      () => c.number('eps'),
      () => c.boolean('tie'),
      () => c.strings('list'),
      () => c.integer('gone'),
      () => c.integer('missing'),
      () => c.integer('toString'),
      () => c.string('__proto__'),
    ])
      errorOf(read, 'BAD_CONFIG');
    expect([c.integer('missing', 3), c.integer('gone', 4), c.has('gone'), c.has('big')]).toEqual([
      3,
      4,
      false,
      true,
    ]);
    errorOf(() => hfConfigOf('config.json', {}), 'BAD_CONFIG');
    expect(errorOf(() => config({ rope_parameters: { rope_theta: 'x' } }), 'BAD_CONFIG').message).toMatch(
      /rope_parameters\.rope_theta/,
    );
    expect(errorOf(() => config({ rope_scaling: 'linear' }), 'BAD_CONFIG').message).toMatch(
      /`rope_scaling` must be an object/,
    );
    errorOf(() => config({ quantization_config: [] }), 'BAD_CONFIG');
  });

  it('code references stay text, and __proto__ stays a key', () => {
    const c = config(
      JSON.parse('{"auto_map":{"AutoModel":"evil.Model"},"__proto__":{"polluted":true}}') as Record<
        string,
        unknown
      >,
    );
    expect(c.raw.auto_map).toEqual({ AutoModel: 'evil.Model' });
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  });

  it('any JSON gives a config or a typed error', () => {
    const value = fc.oneof(
      fc.jsonValue({ maxDepth: 2 }),
      fc.record({ rope_theta: fc.jsonValue(), factor: fc.jsonValue(), type: fc.jsonValue() }),
    );
    fc.assert(
      fc.property(
        fc.record(
          {
            model_type: fc.oneof(fc.constant('llama'), fc.jsonValue()),
            rope_parameters: value,
            rope_scaling: value,
            rope_theta: value,
            quantization_config: value,
            dtype: value,
          },
          { requiredKeys: [] },
        ),
        (raw) => {
          try {
            hfConfigOf('config.json', raw);
          } catch (error) {
            expect(QdyloraError.isInstance(error)).toBe(true);
          }
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe('rope parameters outside of rope_parameters', () => {
  const ropeOf = (model_type: string, raw: Record<string, unknown>) => config({ model_type, ...raw }).rope;
  const both = { rope_theta: 5e5, rotary_emb_base: 300, partial_rotary_factor: 0.5, rotary_pct: 0.25 };

  it('have names of their own in GPT-NeoX, as in transformers', () => {
    expect(ropeOf('gpt_neox', both)).toMatchObject({ theta: 300, partialRotaryFactor: 0.25 });
    expect(ropeOf('llama', both)).toMatchObject({ theta: 5e5, partialRotaryFactor: 0.5 });
  });

  it('are for all layers, but in Gemma 3', () => {
    const rope_parameters = { full_attention: { rope_type: 'default', rope_theta: 5e5 } };
    expect(errorOf(() => ropeOf('llama', { rope_parameters }), 'BAD_CONFIG').message).toMatch(
      /`rope_parameters` must be one entry for all layers/,
    );
    expect(ropeOf('gemma3_text', { rope_parameters }).theta).toBe(5e5);
  });

  it('of Gemma 3 have no type in rope_scaling, which transformers 4 reads and 5 ignores', () => {
    const ropeOfScaling = (rope_scaling: object) => ropeOf('gemma3_text', { rope_scaling });
    expect(errorOf(() => ropeOfScaling({ type: 'linear', factor: 8 }), 'BAD_CONFIG').message).toMatch(
      /`rope_scaling\.type` must be named rope_type, because .* \(got string "linear"\)/,
    );
    expect(ropeOfScaling({ rope_type: 'linear', type: 'linear', factor: 8 }).type).toBe('linear');
    expect(ropeOfScaling({ type: 'default' }).type).toBe('default');
  });

  it('give yarn a factor where it is null, but not in Phi-3, whose yarn is LongRoPE', () => {
    const factorOf = (model_type: string, raw: object = {}): number | undefined =>
      ropeOf(model_type, {
        max_position_embeddings: 64,
        rope_scaling: { rope_type: 'yarn', factor: null, original_max_position_embeddings: 16 },
        ...raw,
      }).factor;
    const outer = { original_max_position_embeddings: 32 };
    expect([factorOf('llama'), factorOf('llama', outer), factorOf('gemma3_text', outer)]).toEqual([4, 2, 4]);
    expect([factorOf('phi3'), factorOf('llama', { max_position_embeddings: null })]).toEqual([
      undefined,
      undefined,
    ]);
  });

  it('say the same as rope_scaling, lists of factors included', () => {
    const longrope = (factor: number) => ({
      rope_type: 'longrope',
      short_factor: [factor],
      long_factor: [1],
    });
    const raw = { rope_parameters: longrope(1), rope_scaling: longrope(1) };
    expect(ropeOf('phi3', raw).type).toBe('longrope');
    expect(
      errorOf(() => ropeOf('phi3', { ...raw, rope_scaling: longrope(2) }), 'BAD_CONFIG').message,
    ).toMatch(/the same as in rope_parameters/);
  });
});

it('divisors of a GGUF file hold for all layers, but not for those with a window of Gemma 3', () => {
  const factors = Float32Array.of(1, 2);
  const gemma = hfConfigOf('x.gguf', { model_type: 'gemma3_text', rope_local_base_freq: 10_000 }, factors);
  for (const { rope, ropeOf } of [gemma, hfConfigOf('x.gguf', { model_type: 'llama' }, factors)]) {
    expect(rope).toMatchObject({ type: 'factors', factors });
    expect(ropeOf('full_attention')).toBe(rope);
  }
  expect(gemma.ropeOf('sliding_attention')?.type).toBe('default');
});
