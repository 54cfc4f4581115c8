import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { openCheckpoint } from '../open-checkpoint.ts';
import { openByteSource } from '../read/byte-source.ts';
import { openSafetensors } from '../safetensors/open-safetensors.ts';
import { fixturePath } from '../test-support/fixture-path.ts';
import { GGUF_ARCHITECTURES } from './architectures.ts';
import { ggufEntry } from './gguf-entry.ts';
import { readGguf } from './file/read-gguf.ts';

interface Case {
  readonly name: string;
  readonly file: string;
  readonly model_type: string;
  readonly llama_cpp_logits_error: number;
  readonly tensors: Record<string, { readonly shape: readonly number[]; readonly sha256: string }>;
}

const { cases } = JSON.parse(readFileSync(fixturePath('gguf-architectures/manifest.json'), 'utf8')) as {
  cases: readonly Case[];
};
const hashOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const originalConfig = (name: string): Record<string, unknown> =>
  JSON.parse(readFileSync(fixturePath(`models/${name}/config.json`), 'utf8')) as Record<string, unknown>;

/**
 * What the file does not say, or says in a way that means the same; every reader of it has to assume
 * something.
 */
const NOT_IN_FILE = [
  'architectures',
  'transformers_version',
  'use_cache',
  'dtype',
  'initializer_range',
  'bos_token_id',
  'eos_token_id',
  'pad_token_id', // the tiny files have no tokenizer
  'attention_dropout',
  'hidden_dropout',
  'embd_pdrop',
  'resid_pdrop',
  'attn_pdrop',
  'classifier_dropout',
  'pretraining_tp',
  'use_bidirectional_attention',
  'is_decoder',
  'add_cross_attention',
  'reorder_and_upcast_attn',
  'scale_attn_by_inverse_layer_idx',
  'scale_attn_weights',
  'summary_activation',
  'summary_first_dropout',
  'summary_proj_to_labels',
  'summary_type',
  'summary_use_proj',
  'use_sliding_window',
  'max_window_layers',
  'rope_parameters',
  'rms_norm_eps',
  'layer_norm_eps',
  'layer_norm_epsilon',
];
const DIFFERENT: Readonly<Record<string, readonly string[]>> = {
  // the converter writes 2048; 7b's config has a meaningless num_kv_heads
  falcon: ['max_position_embeddings', 'num_kv_heads', 'num_ln_in_parallel_attn'],
  gemma2: ['query_pre_attn_scalar'], // not in the file: a head's size, as llama.cpp takes it
  gemma3_text: ['_sliding_window_pattern'], // layer_types say it
  gpt2: ['n_inner'], // null means 4 · n_embd
  qwen2: ['layer_types', 'sliding_window'],
  qwen3: ['layer_types', 'sliding_window'],
};

describe("files of llama.cpp's own converter", () => {
  it(
    'are there for every architecture of the table, and llama.cpp computes with them what transformers ' +
      'does with the originals',
    () => {
      expect([...new Set(cases.map(({ model_type }) => model_type))].sort()).toEqual(
        [...GGUF_ARCHITECTURES.values()].map(({ modelType }) => modelType).sort(),
      );
      for (const { name, llama_cpp_logits_error } of cases)
        expect(llama_cpp_logits_error, name).toBeLessThan(5e-3); // its GELU is a table of halves
    },
  );

  for (const { name, file, tensors, model_type } of cases) {
    it(`${name}: every tensor has the original's name, shape and bits`, async () => {
      using checkpoint = await openCheckpoint(fixturePath(`gguf-architectures/${file}`));
      expect([...checkpoint.tensors.keys()].sort()).toEqual(Object.keys(tensors).sort());
      for (const [key, { shape, sha256 }] of Object.entries(tensors)) {
        const entry = checkpoint.tensors.get(key)!;
        const values = entry.readFloat32();
        expect(entry.shape, key).toEqual(shape);
        // 1 was added in float32; see below
        if (model_type.startsWith('gemma') && key.endsWith('norm.weight')) continue;
        expect(hashOf(new Uint8Array(values.buffer)), key).toBe(sha256);
        expect(hashOf(entry.readBytes()), `${key} as bytes`).toBe(sha256);
        const piece = new Uint8Array(Math.min(20, entry.byteLength));
        entry.readInto(piece, entry.byteLength - piece.length);
        expect(piece, `${key} in pieces`).toEqual(new Uint8Array(values.buffer).slice(-piece.length));
      }
    });

    it(`${name}: the config says what the original's said`, async () => {
      using checkpoint = await openCheckpoint(fixturePath(`gguf-architectures/${file}`));
      const original = originalConfig(name);
      const { rope_parameters: rope } = original as { rope_parameters?: Record<string, unknown> };
      const left = [...NOT_IN_FILE, ...(DIFFERENT[model_type] ?? [])];
      const said = Object.fromEntries(Object.entries(original).filter(([key]) => !left.includes(key)));
      expect(checkpoint.config.raw).toMatchObject(said);
      if (rope) expect(checkpoint.config.raw.rope_parameters).toMatchObject(rope);
      for (const key of ['rms_norm_eps', 'layer_norm_eps', 'layer_norm_epsilon'])
        if (key in original) expect(checkpoint.config.number(key)).toBe(Math.fround(original[key] as number));
    });
  }

  it('the three kinds of Falcon are told apart', async () => {
    const kindOf = async (name: string) => {
      using checkpoint = await openCheckpoint(fixturePath(`gguf-architectures/${name}.gguf`));
      const {
        new_decoder_architecture: isNew,
        num_ln_in_parallel_attn: norms,
        num_kv_heads: kvHeads,
      } = checkpoint.config.raw;
      return [isNew, norms, kvHeads];
    };
    expect(await kindOf('falcon-7b')).toEqual([false, null, 1]);
    expect(await kindOf('falcon-40b')).toEqual([true, 2, 2]);
    expect(await kindOf('falcon-11b')).toEqual([true, 1, 2]);
  });

  it("Gemma's norms come back within the rounding of the 1 that was added", async () => {
    using checkpoint = await openCheckpoint(fixturePath('gguf-architectures/gemma.gguf'));
    const source = openByteSource(fixturePath('gguf-architectures/gemma.gguf'), 'gguf');
    const stored = ggufEntry(source, readGguf(source).tensors.get('output_norm.weight')!).readFloat32();
    const values = checkpoint.tensors.get('model.norm.weight')!.readFloat32();
    source.close();
    expect(values.some((value) => value < 0.5)).toBe(true); // a norm without the 1
    values.forEach((value, i) =>
      expect(Math.abs(value + 1 - stored[i])).toBeLessThanOrEqual(
        2 ** -23 * Math.max(1, Math.abs(stored[i])),
      ),
    );
  });
});

describe('Q8_K', () => {
  it('is what ggml in C makes of it, bit for bit', () => {
    const source = openByteSource(fixturePath('gguf-architectures/q8_k.gguf'), 'gguf');
    const name = 'quantized.Q8_K';
    using expected = openSafetensors(fixturePath('gguf-architectures/q8_k.expected.safetensors'));
    expect(ggufEntry(source, readGguf(source).tensors.get(name)!).readFloat32()).toEqual(
      expected.tensors.get(name)!.readFloat32(),
    );
    source.close();
  });
});
