import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryFolder } from '@qdylora/testing/node';
import { describe, expect, it } from 'vitest';
import { writeGgufAdapter } from '../gguf/write/write-adapter.ts';
import { writeGgufModel } from '../gguf/write/write-model.ts';
import { hfConfigOf } from '../config/hf-config.ts';
import { writeShards } from '../safetensors/write-shards.ts';
import { tensorFrom, tensorOf } from '../safetensors/tensor-of.ts';
import { rejectionOf } from '../test-support/error-of.ts';
import type { TensorSource } from './readable-bytes.ts';
import { writePeftAdapter } from '../peft-adapter/write.ts';

const root = temporaryFolder();

/** An array as a device would give it: asynchronously, and piece by piece. */
function sourceOf(values: Float32Array, shape: readonly number[], dtype = 'F32'): TensorSource {
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  return {
    dtype,
    shape,
    byteLength: bytes.length,
    async read(into, byteOffset) {
      await new Promise((resolve) => setImmediate(resolve));
      into.set(bytes.subarray(byteOffset, byteOffset + into.length));
    },
  };
}

const numbers = (length: number): Float32Array => Float32Array.from({ length }, (_, i) => Math.sin(i));
const filesIn = (folder: string) =>
  readdirSync(folder)
    .sort()
    .map((name) => [name, readFileSync(join(folder, name))]);

describe('tensors that are read while they are written', () => {
  const name = 'model.layers.0.self_attn.q_proj';
  const [a, b] = [numbers(2 * 8), numbers(8 * 2).reverse()];

  it('make the same adapter as arrays', async () => {
    const options = { rank: 2, loraAlpha: 4, targetModules: ['q_proj'] };
    await writePeftAdapter(join(root, 'arrays'), { ...options, layers: [{ name, a, b }] });
    await writePeftAdapter(join(root, 'sources'), {
      ...options,
      layers: [{ name, a: sourceOf(a, [2, 8]), b: sourceOf(b, [8, 2]) }],
    });
    expect(filesIn(join(root, 'sources'))).toEqual(filesIn(join(root, 'arrays')));
  });

  it('are refused in another shape or dtype, and nothing is left of the adapter', async () => {
    for (const [shape, dtype] of [
      [[8, 2], 'F32'],
      [[16], 'F32'],
      [[2, 8], 'I32'],
      [[2, 9], 'F32'],
    ] as const)
      await rejectionOf(
        writePeftAdapter(join(root, 'refused'), {
          rank: 2,
          loraAlpha: 4,
          targetModules: ['q_proj'],
          layers: [{ name, a: sourceOf(a, shape, dtype), b }],
        }),
        'BAD_ARGUMENT',
      );
    expect(readdirSync(root).filter((entry) => entry.startsWith('refused'))).toEqual([]);
  });

  it('make the same shards', async () => {
    const values = numbers(24);
    const folders = [temporaryFolder(), temporaryFolder()] as const;
    await writeShards(folders[0], [tensorOf('x', [4, 6], values), tensorOf('y', [2], Int8Array.of(1, 2))], {
      shardBytes: 90,
    });
    const arriving = { name: 'y', dtype: 'I8', shape: [2], bytes: async () => Uint8Array.of(1, 2) };
    await writeShards(folders[1], [tensorFrom('x', sourceOf(values, [4, 6])), arriving], { shardBytes: 90 });
    expect(filesIn(folders[1])).toEqual(filesIn(folders[0]));
  });

  it('make the same GGUF files, in any type, rearranged or not', async () => {
    const config = hfConfigOf('config.json', {
      model_type: 'llama',
      vocab_size: 4,
      hidden_size: 32,
      intermediate_size: 4,
      num_hidden_layers: 1,
      num_attention_heads: 2,
      num_key_value_heads: 2,
      rms_norm_eps: 1e-5,
      max_position_embeddings: 128,
    });
    const weights: [string, number[]][] = [
      ['model.embed_tokens.weight', [4, 32]],
      ['model.layers.0.self_attn.q_proj.weight', [32, 32]],
      ['model.norm.weight', [32]],
    ];
    const write = async (path: string, type: 'F32' | 'BF16' | 'Q8_0', isStreamed: boolean) => {
      await writeGgufModel(path, {
        name: 'x',
        config,
        tokenizer: null,
        type,
        tensors: weights.map(([weight, shape]) => {
          const values = numbers(shape.reduce((x, y) => x * y));
          return { name: weight, shape, values: () => (isStreamed ? sourceOf(values, shape) : values) };
        }),
      });
      return readFileSync(path);
    };
    for (const type of ['F32', 'BF16', 'Q8_0'] as const) {
      const [arrays, sources] = [join(root, `arrays-${type}.gguf`), join(root, `sources-${type}.gguf`)];
      expect((await write(sources, type, true)).equals(await write(arrays, type, false)), type).toBe(true);
    }
    const adapter = { scale: 2, config };
    const [c, d] = [numbers(2 * 32), numbers(32 * 2)];
    await writeGgufAdapter(join(root, 'c.gguf'), { ...adapter, layers: [{ name, a: c, b: d, rank: 2 }] });
    await writeGgufAdapter(join(root, 'd.gguf'), {
      ...adapter,
      layers: [{ name, a: sourceOf(c, [2, 32]), b: sourceOf(d, [32, 2]), rank: 2 }],
    });
    expect(readFileSync(join(root, 'd.gguf')).equals(readFileSync(join(root, 'c.gguf')))).toBe(true);
  });
});
