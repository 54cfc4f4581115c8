import { describe, expect, test } from 'vitest';
import { CASE_OF, configOf, read } from './test-support/read-case.ts';

describe('what transformers 5.24 makes of a config that says it in part, or twice', () => {
  /** By how much the second pair of a head of 12 turns, in a layer with a window and in one without. */
  const ropesOf = (changes: Record<string, unknown>): string[] => {
    const { attention } = read('gemma3_text', {
      rope_parameters: undefined,
      rope_theta: undefined,
      rope_local_base_freq: undefined,
      rope_scaling: undefined,
      ...changes,
    });
    return [attention.find(({ window }) => window > 0)!, attention.find(({ window }) => window === 0)!].map(
      ({ rope }) => rope!.frequencies[1].toPrecision(9),
    );
  };
  const turned = (theta: number, factor = 1): string => (theta ** (-2 / 12) / factor).toPrecision(9);
  const linear = { rope_type: 'linear', factor: 8 };
  const plain = { rope_type: 'default' };
  test.each([
    [{}, turned(1e4), turned(1e6)],
    [{ rope_theta: 5e5 }, turned(1e4), turned(5e5)],
    [{ rope_local_base_freq: 5e3 }, turned(5e3), turned(1e6)],
    [{ rope_theta: 4e5, rope_scaling: linear }, turned(1e4), turned(4e5, 8)],
    [{ rope_parameters: { full_attention: linear, sliding_attention: plain } }, turned(1e4), turned(1e6, 8)],
    [
      {
        rope_theta: 3e5,
        rope_local_base_freq: 7e3,
        rope_parameters: { full_attention: linear, sliding_attention: plain },
      },
      turned(7e3),
      turned(3e5, 8),
    ],
    [
      { rope_theta: 3e5, rope_parameters: { sliding_attention: { ...plain, rope_theta: 5e3 } } },
      turned(5e3),
      turned(3e5),
    ],
    [
      { rope_theta: 3e5, rope_parameters: { full_attention: { ...linear, rope_theta: 7e4 } } },
      turned(1e4),
      turned(7e4, 8),
    ],
    [
      { rope_local_base_freq: 7e3, rope_parameters: { full_attention: { ...linear, rope_theta: 7e4 } } },
      turned(7e3),
      turned(7e4, 8),
    ],
  ])('gemma3_text: %j', (changes, sliding, full) => {
    expect(ropesOf(changes)).toEqual([sliding, full]);
  });

  test('llama: pretraining_tp and an empty per_layer_config change nothing', () => {
    expect(read('llama', { pretraining_tp: 2 })).toEqual(read('llama', { pretraining_tp: 1 }));
    for (const nothing of [null, {}])
      expect(read('llama', { per_layer_config: nothing })).toEqual(read('llama'));
  });

  test.each([
    [undefined, [4, 4]],
    [null, [4, 4]],
    [
      ['full_attention', 'full_attention'],
      [0, 0],
    ],
    [
      ['full_attention', 'sliding_attention'],
      [0, 4],
    ],
    [
      ['sliding_attention', 'attention'],
      [4, 0],
    ], // an older name of full_attention
  ])('mistral: with layer_types %j a window of 4 is one of %j, as in Ministral', (types, windows) => {
    const { attention } = read('mistral', { sliding_window: 4, layer_types: types });
    expect(attention.map(({ window }) => window)).toEqual(windows);
  });

  test('falcon: n_embed wins over hidden_size', () => {
    const { hidden_size: size } = configOf(CASE_OF.falcon);
    expect(read('falcon', { n_embed: size, hidden_size: 8 })).toEqual(read('falcon'));
    expect(read('falcon', { n_embed: null })).toEqual(read('falcon'));
  });

  test('yarn: the factor null is the ratio of all positions to those before scaling', () => {
    const ropeOf = (factor: unknown, changes: object = {}): unknown =>
      read('llama', {
        head_dim: 8,
        max_position_embeddings: 64,
        rope_parameters: { rope_type: 'yarn', rope_theta: 1e4, factor, original_max_position_embeddings: 16 },
        ...changes,
      }).attention[0].rope;
    expect(ropeOf(null)).toEqual(ropeOf(4));
    const outer = { original_max_position_embeddings: 32 };
    expect(ropeOf(null, outer)).toEqual(ropeOf(2, outer));
    expect(() => ropeOf(undefined)).toThrowError(/`factor` .* must be greater than 0 \(got none\)/);
  });

  test('gemma3_text: yarn looks for truncate beside its entries, and for the positions in them', () => {
    const yarn = { rope_type: 'yarn', rope_theta: 1e4, factor: 4, beta_fast: 3, beta_slow: 0.7 };
    const second = (entry: object, outer: object = {}, changes: object = {}): number =>
      read('gemma3_text', {
        head_dim: 16,
        max_position_embeddings: 64,
        rope_parameters: {
          full_attention: { ...yarn, original_max_position_embeddings: 16, ...entry },
          ...outer,
        },
        ...changes,
      }).attention.find(({ window }) => window === 0)!.rope!.frequencies[1];
    // transformers 5.24
    const [cut, whole] = [0.19764235615730286, 0.10478606820106506];
    expect(second({})).toBeCloseTo(cut, 7);
    expect(second({ truncate: false })).toBeCloseTo(cut, 7);
    expect(second({}, { truncate: false })).toBeCloseTo(whole, 7);
    expect(second({}, {}, { original_max_position_embeddings: 32 })).toBeCloseTo(cut, 7);
  });

  test.each(['llama', 'qwen2', 'qwen3', 'phi3'])(
    '%s: num_key_value_heads null is the number of query heads',
    (family) => {
      const heads = configOf(CASE_OF[family]).num_attention_heads;
      expect(read(family, { num_key_value_heads: null })).toEqual(
        read(family, { num_key_value_heads: heads }),
      );
    },
  );

  test.each([
    { rope_type: 'llama3', factor: 8, low_freq_factor: 1, high_freq_factor: 4 },
    { rope_type: 'yarn', factor: 4 },
    { rope_type: 'longrope', factor: 4, short_factor: [1, 2, 3, 4] },
  ])('$rope_type without original_max_position_embeddings takes max_position_embeddings', (scaling) => {
    const ropeOf = (parameters: object): unknown =>
      read('llama', {
        head_dim: 8,
        max_position_embeddings: 64,
        rope_parameters: { rope_theta: 1e4, ...scaling, ...parameters },
      }).attention[0].rope;
    expect(ropeOf({})).toEqual(ropeOf({ original_max_position_embeddings: 64 }));
    expect(ropeOf({})).not.toEqual(ropeOf({ original_max_position_embeddings: 16 }));
  });

  test(
    'gemma2 and gemma3_text look at hidden_activation alone, and phi3 at the positions of pretraining ' +
      'outside its rope parameters',
    () => {
      for (const family of ['gemma2', 'gemma3_text'])
        expect(read(family, { hidden_act: 'relu', hidden_activation: undefined })).toMatchObject({
          activation: 'gelu_tanh',
        });
      const factors = Array.from({ length: configOf('phi3').hidden_size as number }, () => 1);
      const scaleOf = (changes: Record<string, unknown>): number => {
        const changed = {
          rope_scaling: undefined,
          max_position_embeddings: 8192,
          partial_rotary_factor: 1,
          ...changes,
        };
        const headDim = read('phi3', { rope_parameters: undefined, ...changed }).attention[0].headDim;
        const short = factors.slice(0, headDim / 2);
        return read('phi3', {
          ...changed,
          rope_parameters: {
            rope_type: 'longrope',
            rope_theta: 1e4,
            short_factor: short,
            long_factor: short,
            original_max_position_embeddings: 32,
          },
        }).attention[0].rope!.scale;
      };
      expect(scaleOf({ original_max_position_embeddings: undefined })).toBeCloseTo(
        Math.sqrt(1 + Math.log(2) / Math.log(4096)),
        12,
      ); // Phi3Config's own
      expect(scaleOf({ original_max_position_embeddings: 64 })).toBeCloseTo(
        Math.sqrt(1 + Math.log(128) / Math.log(64)),
        12,
      );
    },
  );
});
