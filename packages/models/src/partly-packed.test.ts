import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { hfConfigOf, openCheckpoint } from '@qdylora/checkpoint';
import { createDryBackend, createHostBackend } from '@qdylora/contract';
import { Linear, modulesOf, Parameter } from '@qdylora/tensor';
import { logitsOf } from '@qdylora/testing';
import { expect, test } from 'vitest';
import { buildModel, oneSequence, shapeModel } from './index.ts';

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
