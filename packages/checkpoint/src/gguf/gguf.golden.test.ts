import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { GGML_BLOCKS } from '@qdylora/quant';
import { sharedPath } from '@qdylora/testing/node';
import { describe, expect, it } from 'vitest';
import { openCheckpoint } from '../open-checkpoint.ts';
import { openByteSource } from '../read/byte-source.ts';
import { openSafetensors } from '../safetensors/open-safetensors.ts';
import { errorOf } from '../test-support/error-of.ts';
import { fixturePath } from '../test-support/fixture-path.ts';
import { ggufEntry } from './gguf-entry.ts';
import { readGguf } from './file/read-gguf.ts';

interface ManifestTensor {
  readonly name: string;
  readonly type: string;
  readonly shape: readonly number[];
  readonly sha256?: string;
  readonly sum?: number;
}
interface ManifestCase {
  readonly name: string;
  readonly tensors: readonly ManifestTensor[] | Record<string, Omit<ManifestTensor, 'name'>>;
  readonly config: Record<string, unknown>;
  readonly metadata: Record<string, { value: unknown }>;
  readonly metadata_arrays: Record<string, unknown>;
}

const readJson = <T>(path: string): T => JSON.parse(readFileSync(path, 'utf8')) as T;
const hashOf = (values: Float32Array): string =>
  createHash('sha256')
    .update(new Uint8Array(values.buffer, values.byteOffset, values.byteLength))
    .digest('hex');
const manifest = readJson<{ cases: readonly ManifestCase[] }>(fixturePath('gguf/manifest.json'));
const tensorsOf = ({ tensors }: ManifestCase): readonly ManifestTensor[] =>
  Array.isArray(tensors)
    ? (tensors as ManifestTensor[])
    : Object.entries(tensors).map(([name, rest]) => ({ name, ...rest }));

/** Dequantizes every listed tensor in the file's own row order; returns how many were equal bit for bit. */
function countEqual(path: string, tensors: readonly ManifestTensor[]): number {
  const source = openByteSource(path, 'gguf');
  const file = readGguf(source);
  let equal = 0;
  for (const { name, type, shape, sha256 } of tensors) {
    const tensor = file.tensors.get(name)!;
    expect([tensor.type.name, tensor.shape], name).toEqual([type, shape]);
    const entry = ggufEntry(source, tensor);
    if (!GGML_BLOCKS.has(type) && !['F32', 'F16', 'BF16', 'F64'].includes(type)) {
      expect(errorOf(() => entry.readFloat32(), 'UNSUPPORTED').message).toMatch(
        new RegExp(`${name}" has the type ${type}, which cannot be read. Supported: F32, .*Q8_0`),
      );
      continue;
    }
    const values = entry.readFloat32();
    if (sha256) expect(hashOf(values), `${name} (${type})`).toBe(sha256);
    equal++;
  }
  source.close();
  return equal;
}

describe('every-type.gguf, by the gguf package and checked against ggml in C', () => {
  const [everyType] = manifest.cases;
  const path = fixturePath('gguf/every-type.gguf');

  it('values of the supported types are equal bit for bit, the others are refused by name', () => {
    expect(countEqual(path, tensorsOf(everyType!))).toBe(21);
    for (const type of GGML_BLOCKS.keys())
      // that one is in architectures.golden.test.ts
      if (type !== 'Q8_K') expect(tensorsOf(everyType!).map((t) => t.type)).toContain(type);
  });

  it('values of each type lie where the stranger has them', () => {
    const expected = openSafetensors(fixturePath('gguf/every-type.expected.safetensors'));
    const source = openByteSource(path, 'gguf');
    const { tensors } = readGguf(source);
    for (const name of [
      'quantized.Q4_1',
      'random.Q2_K',
      'random.Q3_K',
      'random.Q4_K',
      'random.Q5_K',
      'random.Q6_K',
      'random.IQ4_NL',
      'random.IQ4_XS',
    ])
      expect(ggufEntry(source, tensors.get(name)!).readFloat32(), name).toEqual(
        expected.tensors.get(name)!.readFloat32(),
      );
    expected.dispose();
    source.close();
  });

  it('metadata of every type is read', () => {
    const source = openByteSource(path, 'gguf');
    const { metadata } = readGguf(source);
    for (const [key, { value }] of Object.entries(everyType!.metadata))
      expect(
        typeof metadata.get(key) === 'bigint' || typeof value === 'string'
          ? String(metadata.get(key))
          : metadata.get(key),
        key,
      ).toEqual(value);
    expect(metadata.get('test.u64')).toBe(9223372036854775809n);
    for (const [key, value] of Object.entries(everyType!.metadata_arrays))
      expect(metadata.get(key), key).toEqual(value);
    source.close();
  });
});

describe('small models', () => {
  for (const model of manifest.cases.slice(1)) {
    const path = existsSync(fixturePath(`gguf/${model.name}.gguf`))
      ? fixturePath(`gguf/${model.name}.gguf`)
      : sharedPath(`fixtures/gguf/${model.name}.gguf`);

    it(`${model.name}: all tensors are equal bit for bit`, ({ skip }) => {
      skip(path === null, 'shared/fixtures is not beside the checkout');
      expect(countEqual(path!, tensorsOf(model))).toBe(tensorsOf(model).length);
    });

    it(`${model.name}: the config says what the original's said`, async ({ skip }) => {
      skip(path === null, 'shared/fixtures is not beside the checkout');
      const checkpoint = await openCheckpoint(path!);
      const {
        rope_parameters: rope,
        rms_norm_eps,
        ...rest
      } = model.config as {
        rope_parameters: { rope_type: string; rope_theta: number };
        rms_norm_eps: number;
      };
      expect(checkpoint.config.raw).toMatchObject(rest);
      expect(checkpoint.config.number('rms_norm_eps')).toBe(Math.fround(rms_norm_eps));
      expect(checkpoint.config.rope).toMatchObject({
        theta: rope.rope_theta,
        type: rope.rope_type === 'llama3' ? 'factors' : rope.rope_type,
      });
      expect(checkpoint.tensors.has('lm_head.weight')).toBe(!model.config.tie_word_embeddings);
      expect(checkpoint.generation).toEqual({ eosTokenIds: [2], bosTokenId: 1, padTokenId: 0 });
      checkpoint.dispose();
    });
  }

  it('Llama 3 frequency divisors become part of the config', async () => {
    const { config, dispose } = await openCheckpoint(fixturePath('gguf/llama-rope-freqs.gguf'));
    const factor = 8;
    const low = 32;
    const high = 32 / 4; // wavelengths: scaled above `low`, kept below `high`
    const expected = Float32Array.from({ length: 8 }, (_, i) => {
      const wavelength = 2 * Math.PI * 10_000 ** (i / 8);
      const smooth = (32 / wavelength - 1) / (4 - 1);
      return wavelength < high ? 1 : wavelength > low ? factor : 1 / ((1 - smooth) / factor + smooth);
    });
    config.rope.factors!.forEach((value, i) => expect(value).toBeCloseTo(expected[i], 5));
    // written into a config.json, which has no divisors
    expect(config.raw.rope_parameters).toEqual({
      rope_type: 'llama3',
      rope_theta: 10_000,
      factor: 8,
      low_freq_factor: 1,
      high_freq_factor: 4,
      original_max_position_embeddings: 32,
    });
    dispose();
  });
});

describe('SmolLM2-135M-Instruct', () => {
  const path = process.env.QDYLORA_SMOLLM2_GGUF;
  const folder = sharedPath('fixtures/gguf/smollm2-135m-instruct');

  it('all 272 tensors are equal bit for bit', ({ skip }) => {
    skip(!path || folder === null, 'QDYLORA_SMOLLM2_GGUF or shared/fixtures is missing');
    const { tensors } = readJson<{ tensors: readonly ManifestTensor[] }>(`${folder}/manifest.json`);
    expect(countEqual(path!, tensors)).toBe(272);
  });

  const tokenizer = sharedPath('fixtures/tokenizers/smollm2.tokenizer.json.gz');
  it('its tokenizer.json is that of the Hugging Face folder', async ({ skip }) => {
    skip(!path || tokenizer === null, 'QDYLORA_SMOLLM2_GGUF or shared/fixtures is missing');
    const checkpoint = await openCheckpoint(path!);
    const expected = JSON.parse(gunzipSync(readFileSync(tokenizer!)).toString()) as unknown;
    expect(JSON.stringify(checkpoint.tokenizerFiles.tokenizerJson)).toBe(JSON.stringify(expected));
    expect(checkpoint.tokenizerFiles.specialTokens).toEqual({
      bos: '<|im_start|>',
      eos: '<|im_end|>',
      pad: '<|im_end|>',
    });
    expect(checkpoint.tokenizerFiles.chatTemplate).toMatch(/^\{% for message in messages %\}/);
    checkpoint.dispose();
  });
});
