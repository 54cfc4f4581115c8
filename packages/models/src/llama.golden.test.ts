import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { openCheckpoint } from '@qdylora/checkpoint';
import { createHostBackend, elementsOf } from '@qdylora/contract';
import { readSafetensors, type GoldenTensor } from '@qdylora/testing';
import { goldenSums } from '@qdylora/testing/node';
import { backward, inferenceContext, Tape } from '@qdylora/tensor';
import { describe, expect, test } from 'vitest';
import { buildModel, generate, type LossInputs } from './index.ts';

/** Tiny Llama checkpoints and what transformers 5.24 computes with them, in float64 (hashes lie beside them, makers in packages/testing/makers). */
const FOLDER = fileURLToPath(new URL('../fixtures/', import.meta.url));
interface GoldenCase { name: string; same_values_as?: string; tolerance: Record<string, number | string>; gradients?: Record<string, { l2: number }> }
const MANIFEST = (JSON.parse(readFileSync(`${FOLDER}manifest.json`, 'utf8')) as { cases: GoldenCase[] }).cases;
/** A case with older names has the values of another one. */
const CASES = MANIFEST.filter(({ name }) => name.startsWith('llama-')).map((own) => ({ ...MANIFEST.find((c) => c.name === own.same_values_as), ...own }));

const numbers = (tensor: GoldenTensor): number[] => Array.from(tensor.i64(), Number);

/** The two right-padded sequences of a case, without their padding. */
function inputsOf(expected: Map<string, GoldenTensor>): { batch: LossInputs; rows: number[] } {
  const [sequences, width] = expected.get('input_ids')!.shape as [number, number];
  const ids = numbers(expected.get('input_ids')!), mask = numbers(expected.get('attention_mask')!), labels = numbers(expected.get('labels')!);
  const rows: number[] = [], positions: number[] = [], targets: number[] = [], segments = [0];
  for (let s = 0; s < sequences; s++) {
    const length = mask.slice(s * width, (s + 1) * width).reduce((sum, m) => sum + m, 0);
    for (let t = 0; t < length; t++) {
      rows.push(s * width + t);
      positions.push(t);
      targets.push(t + 1 < length ? labels[s * width + t + 1]! : -100);
    }
    segments.push(rows.length);
  }
  return { rows, batch: { ids: Int32Array.from(rows, (row) => ids[row]!), positions: Int32Array.from(positions), targets: Int32Array.from(targets), segments: Int32Array.from(segments) } };
}

test('the golden files have the hashes of SHA256SUMS', () => {
  const sums = goldenSums(FOLDER);
  expect(sums.length).toBeGreaterThan(50);
  for (const { file, said, hash } of sums) expect(hash, file).toBe(said);
});

describe.each(CASES)('transformers and ours agree on $name', ({ name, same_values_as: source = name, tolerance, gradients }) => {
  const expected = readSafetensors(readFileSync(`${FOLDER}${source}/expected.safetensors`)), { batch, rows } = inputsOf(expected);
  const isPacked = /nf4|fp4/.test(name), atol = Number(tolerance.logits_atol ?? 1e-4);
  const build = async (trainable: boolean) => {
    const backend = createHostBackend();
    using checkpoint = await openCheckpoint(`${FOLDER}${name}`);
    return { backend, model: await buildModel(checkpoint, { backend, quantization: { kind: 'none' }, trainable }) };
  };

  test('in every logit', async () => {
    const { backend, model } = await build(false), want = expected.get('logits_f64')!.f64(), vocabulary = model.config.vocabularySize;
    const got = elementsOf(model.logits(inferenceContext(backend), batch).view);
    const worst = rows.reduce((largest, row, i) => {
      for (let c = 0; c < vocabulary; c++) largest = Math.max(largest, Math.abs(got[i * vocabulary + c]! - want[row * vocabulary + c]!));
      return largest;
    }, 0);
    expect(worst).toBeLessThanOrEqual(atol);
  });

  if (!isPacked) test('in the loss and in every gradient', async () => {
    const { backend, model } = await build(true), tape = new Tape(backend), parameters = model.parameters();
    for (const parameter of parameters) { parameter.makeTrainable(backend.memory); parameter.gradient!.data.fill(0); }
    const predicted = batch.targets.filter((target) => target !== -100).length;
    const { loss } = model.loss({ ...inferenceContext(backend), tape }, batch, { lossScale: 1 / predicted });
    expect(Math.abs(loss.view.data[0]! - expected.get('loss_f64')!.f64()[0]!)).toBeLessThanOrEqual(Number(tolerance.loss_atol));
    backward(tape, loss);
    expect(parameters.map((p) => p.name).sort()).toEqual(expect.arrayContaining(Object.keys(gradients ?? {}).sort()));
    for (const [key, tensor] of expected) {
      if (!key.startsWith('grad.')) continue;
      const want = tensor.f32(), got = elementsOf(parameters.find((p) => p.name === key.slice(5))!.gradient!), largest = want.reduce((m, x) => Math.max(m, Math.abs(x)), 0);
      const worst = want.reduce((m, x, i) => Math.max(m, Math.abs(x - got[i]!)), 0);
      expect(worst / largest, key).toBeLessThanOrEqual(Number(tolerance.grad_atol_over_largest));
    }
    for (const [key, { l2 }] of Object.entries(gradients ?? {})) {
      const own = Math.sqrt(elementsOf(parameters.find((p) => p.name === key)!.gradient!).reduce((sum: number, x: number) => sum + x * x, 0));
      expect(Math.abs(own - l2) / l2, key).toBeLessThanOrEqual(1e-4);
    }
  });

  if (expected.has('greedy_ids')) test('in twelve greedy tokens, with a key-value cache', async () => {
    const { model } = await build(false), got: number[] = [];
    for await (const id of generate({ model, active: null }, numbers(expected.get('prompt_ids')!), { maxNewTokens: 12 })) got.push(id);
    expect(got).toEqual(numbers(expected.get('greedy_ids')!));
  });
});
