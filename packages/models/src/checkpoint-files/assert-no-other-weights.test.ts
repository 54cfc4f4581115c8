import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  openCheckpoint,
  openSafetensors,
  tensorOf,
  writeSafetensors,
  type Checkpoint,
} from '@qdylora/checkpoint';
import { createHostBackend } from '@qdylora/contract';
import { logitsOf } from '@qdylora/testing';
import { temporaryFolder } from '@qdylora/testing/node';
import { expect, test } from 'vitest';
import { buildModel, locateWeights, oneSequence } from '../index.ts';

const root = temporaryFolder();
const FOLDER = fileURLToPath(new URL('../../fixtures/llama-bf16', import.meta.url));

/** Calls `use` with a checkpoint of two layers that has one tensor more. */
async function withTensor<T>(
  name: string,
  { shape, value = 1 }: { readonly shape: readonly number[]; readonly value?: number },
  use: (checkpoint: Checkpoint) => T | Promise<T>,
): Promise<T> {
  const path = join(root, 'more.safetensors');
  writeSafetensors(path, [
    tensorOf(name, shape, new Float32Array(shape.reduce((product, size) => product * size, 1)).fill(value)),
  ]);
  using checkpoint = await openCheckpoint(FOLDER);
  using more = openSafetensors(path);
  return await use(
    Object.create(checkpoint, {
      tensors: { value: new Map([...checkpoint.tensors, ...more.tensors]) },
    }) as Checkpoint,
  );
}

const build = (checkpoint: Checkpoint) =>
  buildModel(checkpoint, { backend: createHostBackend(), quantization: { kind: 'none' } });

test.each([
  ['a bias', 'model.layers.0.self_attn.q_proj.bias', [32]],
  ['a norm', 'model.layers.1.self_attn.q_norm.weight', [8]],
  ['a layer beyond the last one', 'model.layers.2.mlp.up_proj.weight', [320, 64]],
  ['a scale', 'model.layers.0.mlp.up_proj.weight_scale', [1]],
  ['a bias under a name of files saved without a head', 'layers.0.mlp.up_proj.bias', [36]],
  ['an adapter', 'model.layers.0.mlp.up_proj.lora_A.default.weight', [4, 32]],
])(
  '%s that the config leaves out is refused by name, when it is built and when it is packed',
  async (_, name, shape) => {
    const refusal = { code: 'UNSUPPORTED', details: { name } };
    await expect(withTensor(name, { shape }, build)).rejects.toMatchObject(refusal);
    await expect(
      withTensor(name, { shape }, (checkpoint) => locateWeights(checkpoint)),
    ).rejects.toMatchObject(refusal);
  },
);

test('a scale of quantized weights is called so', async () => {
  const name = 'model.layers.0.mlp.up_proj.weight_scale_inv';
  await expect(withTensor(name, { shape: [1] }, build)).rejects.toThrow(
    `${name} [1], and without it the model would compute something else. It is a scale of quantized ` +
      'weights (FP8, int8). Start from the unquantized checkpoint.',
  );
});

test('a bias of zeros, a mask, inverse frequencies and tensors outside the layers are ignored', async () => {
  const tokens = { ...oneSequence([5, 9, 3, 77]), targets: Int32Array.of(-100, -100, -100, -100) };
  const logits = async (checkpoint: Checkpoint) => logitsOf(await build(checkpoint), tokens);
  using checkpoint = await openCheckpoint(FOLDER);
  const exact = await logits(checkpoint);
  for (const [name, shape, value] of [
    ['model.layers.0.self_attn.q_proj.bias', [32], 0],
    ['model.layers.0.self_attn.bias', [1, 1, 4, 4], 1],
    ['model.layers.0.self_attn.masked_bias', [], 1],
    ['model.layers.0.self_attn.rotary_emb.inv_freq', [4], 1],
    ['score.weight', [2, 32], 1],
    ['grad.model.layers.0.self_attn.q_proj.bias', [32], 1],
  ] as const)
    expect(await withTensor(name, { shape, value }, logits), name).toEqual(exact);
});
