import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  hfConfigOf,
  openCheckpoint,
  openSafetensors,
  tensorOf,
  writeSafetensors,
  type Checkpoint,
  type TensorToWrite,
} from '@qdylora/checkpoint';
import { createDryBackend, createHostBackend } from '@qdylora/contract';
import { dequantize4bit, quantize4bit, serializeBitsandbytes } from '@qdylora/quant';
import { Linear, modulesOf, Parameter } from '@qdylora/tensor';
import { logitsOf } from '@qdylora/testing';
import { temporaryFolder } from '@qdylora/testing/node';
import { expect, test } from 'vitest';
import { buildModel, oneSequence, shapeModel } from './index.ts';

const MORE = join(temporaryFolder(), 'more.safetensors');
const HOST = { backend: createHostBackend() };
const FOLDER = fileURLToPath(new URL('../fixtures/llama-bf16', import.meta.url));
const config = JSON.parse(readFileSync(`${FOLDER}/config.json`, 'utf8')) as Record<string, unknown>;
const fourBit = {
  ...config,
  quantization_config: {
    quant_method: 'bitsandbytes',
    load_in_4bit: true,
    bnb_4bit_quant_type: 'nf4',
    llm_int8_skip_modules: ['lm_head', 'down_proj', 'model.layers.1.self_attn'],
  },
};

test('a matrix that a 4-bit checkpoint keeps in higher precision is not packed', async () => {
  using checkpoint = await openCheckpoint(FOLDER);
  const backend = createHostBackend();
  const tokens = { ...oneSequence([5, 9, 3, 77]), targets: Int32Array.of(-100, -100, -100, -100) };
  const exact = logitsOf(await buildModel(checkpoint, { backend, quantization: { kind: 'none' } }), tokens);
  const partly = Object.create(checkpoint, {
    config: { value: hfConfigOf('config.json', fourBit) },
  }) as typeof checkpoint;
  expect(logitsOf(await buildModel(partly, { backend }), tokens)).toEqual(exact);
  // packed, where nothing says that the checkpoint has been
  expect(logitsOf(await buildModel(checkpoint, { backend }), tokens)).not.toEqual(exact);
});

/** The checkpoint with more tensors, in place of its own. */
async function withTensors(more: readonly TensorToWrite[]): Promise<Checkpoint> {
  writeSafetensors(MORE, more);
  const checkpoint = await openCheckpoint(FOLDER);
  const { tensors } = openSafetensors(MORE);
  return Object.create(checkpoint, {
    tensors: { value: new Map([...checkpoint.tensors, ...tensors]) },
  }) as Checkpoint;
}

/** A weight of the checkpoint in 4 bits, as bitsandbytes stores it. */
async function packedOf(name: string): Promise<{ tensors: TensorToWrite[]; values: Float32Array }> {
  using checkpoint = await openCheckpoint(FOLDER);
  const entry = checkpoint.tensors.get(name)!;
  const matrix = quantize4bit('nf4', { data: entry.readFloat32(), shape: entry.shape as [number, number] });
  const tensors = [...serializeBitsandbytes(name, matrix)].map(([key, { dtype, shape, bytes }]) => ({
    name: key,
    dtype,
    shape,
    bytes: () => [bytes],
  }));
  return { tensors, values: dequantize4bit(matrix) };
}

const tokens = { ...oneSequence([5, 9, 3, 77]), targets: Int32Array.of(-100, -100, -100, -100) };

test.each(['lm_head.weight', 'model.embed_tokens.weight'])(
  'a packed %s computes as the float32 values that it stands for',
  async (name) => {
    const logits = async (checkpoint: Checkpoint): Promise<ArrayLike<number>> =>
      logitsOf(await buildModel(checkpoint, { ...HOST, quantization: { kind: 'none' } }), tokens);
    const { tensors, values } = await packedOf(name);
    using packed = await withTensors(tensors);
    const got = await logits(packed);
    const [rows] = packed.tensors.get(name)!.shape;
    using decoded = await withTensors([tensorOf(name, [(2 * rows!) / 64, 64], values)]);
    expect(got).toEqual(await logits(decoded));
  },
);

test('a packed matrix or head without its state is refused by the name of the state', async () => {
  for (const name of ['lm_head.weight', 'model.layers.1.mlp.down_proj.weight']) {
    const { tensors } = await packedOf(name);
    using cut = await withTensors(tensors.filter((tensor) => !tensor.name.includes('quant_state')));
    await expect(buildModel(cut, HOST)).rejects.toMatchObject({
      code: 'MISSING_TENSOR',
      message: `[bitsandbytes] the file has no ${name}.quant_state.bitsandbytes__nf4|fp4.`,
    });
  }
});

test('a weight that is not finite is refused by its name when it is quantized at load', async () => {
  const name = 'model.layers.1.mlp.up_proj.weight';
  using checkpoint = await openCheckpoint(FOLDER);
  const { shape } = checkpoint.tensors.get(name)!;
  const values = checkpoint.tensors.get(name)!.readFloat32().fill(NaN, 197, 198);
  using broken = await withTensors([tensorOf(name, shape, values)]);
  await expect(buildModel(broken, HOST)).rejects.toMatchObject({
    code: 'NON_FINITE',
    message: expect.stringContaining(`[${name}] the weights must be finite (got NaN at index 197`) as string,
  });
});

const plainOf = (modules: Parameters<typeof modulesOf>[0]): string[] =>
  modulesOf(modules)
    .flatMap((layer) =>
      layer instanceof Linear && layer.weight instanceof Parameter && layer.name !== 'lm_head'
        ? [layer.name]
        : [],
    )
    .sort();

test('a plan counts the skipped layers of a 4-bit checkpoint as they are', () => {
  const { modules } = shapeModel(fourBit, { backend: createDryBackend({}), dtype: 'bf16' });
  expect(plainOf(modules)).toEqual(
    [
      ...['k', 'o', 'q', 'v'].map((name) => `model.layers.1.self_attn.${name}_proj`),
      ...[0, 1].map((i) => `model.layers.${i}.mlp.down_proj`),
    ].sort(),
  );
});

test('and layers that its files have in more bits, where nothing says that they are skipped', () => {
  const { modules } = shapeModel(
    {
      ...fourBit,
      quantization_config: { ...fourBit.quantization_config, llm_int8_skip_modules: ['lm_head'] },
    },
    {
      backend: createDryBackend({}),
      dtype: 'bf16',
      dtypes: new Map([['model.layers.0.mlp.up_proj.weight', 'f32']]),
    },
  );
  expect(plainOf(modules)).toEqual(['model.layers.0.mlp.up_proj']);
});
