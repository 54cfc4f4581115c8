import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { openCheckpoint, readHfConfig } from '@qdylora/checkpoint';
import { createHostBackend, elementsOf, type ArrayView } from '@qdylora/contract';
import { goldenNumbers, goldenTokens, modelCases, worstLogitError } from '@qdylora/testing';
import { goldenSums } from '@qdylora/testing/node';
import { backward, inferenceContext, Linear, modulesOf, Tape, type ForwardContext } from '@qdylora/tensor';
import { describe, expect, test } from 'vitest';
import { buildModel, FAMILIES, generate, type CausalLm } from './index.ts';

/** Tiny checkpoints of every family and what transformers 5.24 computes with them, in float64 (hashes lie beside them, makers in packages/testing/makers). */
const FOLDER = fileURLToPath(new URL('../fixtures/', import.meta.url));
const CASES = modelCases((file) => readFileSync(`${FOLDER}${file}`));

/** The model of a case; with `config`, as that file of its folder spells it. */
async function build(name: string, { trainable = false, config = 'config.json' } = {}): Promise<CausalLm> {
  using opened = await openCheckpoint(`${FOLDER}${name}`);
  const checkpoint = Object.create(opened, { config: { value: readHfConfig(`${FOLDER}${name}/${config}`) } }) as typeof opened;
  return buildModel(checkpoint, { backend: createHostBackend(), quantization: { kind: 'none' }, trainable });
}

test('the golden files have the hashes of SHA256SUMS', () => {
  const sums = goldenSums(FOLDER);
  expect(sums.length).toBeGreaterThan(120);
  for (const { file, said, hash } of sums) expect(hash, file).toBe(said);
});

test('every family has a case', () => {
  expect(new Set(CASES.map(({ modelType }) => modelType))).toEqual(new Set(FAMILIES.keys()));
});

describe.each(CASES)('transformers and ours agree on $name', ({ name, isPacked, tolerance, gradientNorms, tensors }) => {
  const expected = tensors(), { rows, ...batch } = goldenTokens(expected);
  const logitsOf = (model: CausalLm): ArrayLike<number> => elementsOf(model.logits(inferenceContext(model.backend), batch).view);

  test('in every logit, and the config as transformers 4 spells it gives the same bits', async () => {
    const logits = logitsOf(await build(name));
    expect(worstLogitError(logits, expected, rows)).toBeLessThanOrEqual(tolerance.logits);
    if (existsSync(`${FOLDER}${name}/config.legacy.json`)) expect(logitsOf(await build(name, { config: 'config.legacy.json' }))).toEqual(logits);
  });

  if (!isPacked) test('in the loss and in every gradient, and layers that are run again in backward give the same bits', async () => {
    const model = await build(name, { trainable: true }), { loss, gradients } = gradientsOf(model, { ...inferenceContext(model.backend), recompute: false }, batch);
    expect(Math.abs(loss - expected.get('loss_f64')!.f64()[0]!)).toBeLessThanOrEqual(tolerance.loss);
    for (const [key, tensor] of expected) {
      if (!key.startsWith('grad.')) continue;
      const want = tensor.f32(), got = gradients.get(key.slice(5))!, largest = want.reduce((m, x) => Math.max(m, Math.abs(x)), 0);
      expect(want.reduce((m, x, i) => Math.max(m, Math.abs(x - got[i]!)), 0) / largest, key).toBeLessThanOrEqual(tolerance.gradient);
    }
    expect(gradientNorms.size).toBeGreaterThan(10);
    expect([...gradients.keys()].sort()).toEqual([...gradientNorms.keys()].sort());
    for (const [key, l2] of gradientNorms) {
      const own = Math.sqrt(gradients.get(key)!.reduce((sum, x) => sum + x * x, 0));
      expect(Math.abs(own - l2) / l2, key).toBeLessThanOrEqual(1e-4); // only one number stands for the whole gradient here
    }
    expect(gradientsOf(model, { ...inferenceContext(model.backend), recompute: true }, batch)).toEqual({ loss, gradients });
  });

  if (expected.has('greedy_ids')) test('in twelve greedy tokens, with a key-value cache', async () => {
    const model = await build(name), got: number[] = [];
    for await (const id of generate({ model, active: null }, goldenNumbers(expected.get('prompt_ids')), { maxNewTokens: 12 })) got.push(id);
    expect(got).toEqual(goldenNumbers(expected.get('greedy_ids')));
  });
});

/** The mean loss of a batch, and a copy of the gradient of each weight in the orientation in which checkpoints store it. */
function gradientsOf(model: CausalLm, ctx: ForwardContext, batch: Parameters<CausalLm['loss']>[1]): { loss: number; gradients: Map<string, Float32Array> } {
  const tape = new Tape(model.backend), parameters = model.parameters();
  for (const parameter of parameters) { parameter.makeTrainable(model.backend.memory); parameter.gradient!.data.fill(0); }
  const matrices = new Set(modulesOf(model.modules).flatMap((layer) => (layer instanceof Linear ? [`${layer.name}.weight`] : [])));
  const { loss } = model.loss({ ...ctx, tape }, batch, { lossScale: 1 / batch.targets.filter((target) => target !== -100).length }), value = loss.view.data[0]!;
  backward(tape, loss);
  const stored = (name: string, gradient: ArrayView<'f32'>): Float32Array => (model.storesInOut && matrices.has(name) ? turned(gradient) : Float32Array.from(elementsOf(gradient)));
  return { loss: value, gradients: new Map(parameters.map(({ name, gradient }) => [name, stored(name, gradient!)])) };
}

/** [out, in] → [in, out] */
function turned(view: ArrayView<'f32'>): Float32Array {
  const [rows, cols] = view.shape as [number, number];
  return Float32Array.from({ length: rows * cols }, (_, i) => view.data[(i % rows) * cols + Math.floor(i / rows)]!);
}
