import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import {
  createHostBackend,
  hostData,
  f32View,
  i32View,
  runOp,
  type ArrayView,
  type FloatView,
} from '@qdylora/contract';
import { goldenCases, type GoldenCase, type GoldenTensor } from '@qdylora/testing';
import { goldenSums } from '@qdylora/testing/node';
import { describe, expect, it } from 'vitest';
import {
  activation,
  activationBackward,
  activationGate,
  activationGateBackward,
  layerNorm,
  layerNormBackward,
  linearCrossEntropyTopK,
  linearDistillation,
} from '../index.ts';

const FOLDER = fileURLToPath(new URL('../../fixtures/', import.meta.url));
const backend = createHostBackend();
const cases = goldenCases((file) => readFileSync(FOLDER + file));
const ofOp = (op: string): GoldenCase[] => cases.filter(({ facts }) => facts.op === op);
const viewOf = (tensor: GoldenTensor): ArrayView<'f32'> => f32View(tensor.shape as number[], tensor.f32());

type Allowed = (want: number, largest: number) => number;

function expectClose(got: FloatView, want: GoldenTensor, allowed: Allowed, label: string): void {
  const values = want.f64();
  const largest = values.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
  hostData(got).forEach((x, i) =>
    expect(Math.abs(x - values[i]), `${label} at ${i}: got ${x}, want ${values[i]}`).toBeLessThanOrEqual(
      allowed(values[i], largest),
    ),
  );
}

/**
 * References sum in float64 and round what they store; a statistic that is stored in between is rounded too,
 * which costs `roundings` of the largest number.
 */
const ofLargest =
  (roundings: number): Allowed =>
  (_, largest) =>
    roundings * 2 ** -24 * largest;
/**
 * One rounding to float32; and torch's 1 + erf and 1 + tanh cancel in float64: 2⁻⁵³ of |x · up · dy| ≤ 30 · 4
 * · 4.
 */
const onceRounded: Allowed = (want) => 2 ** -24 * Math.abs(want) + 480 * 2 ** -53;

it('has golden files with the hashes of SHA256SUMS', () => {
  for (const { file, said, hash } of goldenSums(FOLDER)) expect(hash, file).toBe(said);
  expect(['layer-norm', 'activation', 'distillation'].map((op) => ofOp(op).length)).toEqual([4, 4, 4]);
});

describe("layer-norm is torch's", () => {
  it.each(ofOp('layer-norm').map((c) => [c.name, c] as const))(
    '%s: forward, and the gradients of x, weight and bias',
    (name, c) => {
      const [x, weight, dy] = ['x', 'weight', 'dy'].map((role) => viewOf(c.tensor(role))) as [
        ArrayView<'f32'>,
        ArrayView<'f32'>,
        ArrayView<'f32'>,
      ];
      const hidden = weight.shape[0];
      const bias = c.roles.includes('bias') ? viewOf(c.tensor('bias')) : undefined;
      const { y, mean, inverseDeviation } = runOp(
        backend,
        layerNorm,
        { x, weight, bias },
        { epsilon: c.facts.epsilon as number },
      );
      const dWeight = f32View([hidden]);
      const dBias = f32View([hidden]);
      const { dx } = runOp(
        backend,
        layerNormBackward,
        { x, weight, mean, inverseDeviation, dy },
        { accumulate: false },
        { dWeight, dBias },
      );
      expectClose(y, c.tensor('y'), ofLargest(2), `${name} y`);
      // mean is stored in float32: an error of ε·|mean|·r in every normalized number, 100 where x is about
      // 100
      const roundings = name.endsWith('far-from-zero') ? 200 : 8;
      expectClose(dx, c.tensor('dx'), ofLargest(roundings), `${name} dx`);
      expectClose(dWeight, c.tensor('d_weight'), ofLargest(roundings), `${name} dWeight`);
      if (bias) expectClose(dBias, c.tensor('d_bias'), ofLargest(2), `${name} dBias`);
    },
  );
});

describe("activations are torch's, each number rounded once", () => {
  it.each(ofOp('activation').map((c) => [c.facts.kind as 'gelu', c] as const))(
    '%s, plain and as a gate, and their gradients',
    (kind, c) => {
      const x = viewOf(c.tensor('x'));
      const up = viewOf(c.tensor('up'));
      const dy = viewOf(c.tensor('dy'));
      expectClose(runOp(backend, activation, { x }, { kind }).y, c.tensor('y'), onceRounded, 'y');
      expectClose(
        runOp(backend, activationBackward, { x, dy }, { kind }).dx,
        c.tensor('dx'),
        onceRounded,
        'dx',
      );
      expectClose(
        runOp(backend, activationGate, { gate: x, up }, { kind }).y,
        c.tensor('gated'),
        onceRounded,
        'gated',
      );
      const { dGate, dUp } = runOp(backend, activationGateBackward, { gate: x, up, dy }, { kind });
      expectClose(dGate, c.tensor('d_gate'), onceRounded, 'dGate');
      expectClose(dUp, c.tensor('d_up'), onceRounded, 'dUp');
    },
  );
});

describe("distillation is torch's", () => {
  const names = ofOp('distillation').map((c) => [c.name, c] as const);

  it.each(names)('%s: ids, log-probabilities and tail of the most likely classes', (name, c) => {
    const { topIds, topLogProbabilities, tailMass } = topClasses(c);
    expect([...hostData(topIds)]).toEqual((c.facts.top_ids as number[][]).flat());
    expectClose(topLogProbabilities, c.tensor('top_log_probabilities'), onceRounded, name);
    expectClose(tailMass, c.tensor('tail_mass'), onceRounded, name);
  });

  it.each(names)('%s: losses and the gradient of x', (name, c) => {
    const { topIds, topLogProbabilities, tailMass } = topClasses(c);
    const targets = targetsOf(c);
    const { tokenLosses, dx } = runOp(
      backend,
      linearDistillation,
      {
        x: viewOf(c.tensor('x')),
        weight: viewOf(c.tensor('head')),
        targets,
        topIds,
        topLogProbabilities,
        tailMass,
      },
      { ...attributesOf(c), distillation: c.facts.weight as number },
    );
    // log p and the tail are rounded to float32: each moves by 2⁻²⁴ of at most 16
    expectClose(tokenLosses, c.tensor('token_losses'), () => 32 * 2 ** -24, `${name}, loss`);
    // Σ |p moved| · |W|, over a mean of tokens
    expectClose(dx!, c.tensor('dx'), () => 64 * 2 ** -24, `${name}, dx`);
  });

  const targetsOf = (c: GoldenCase): ArrayView<'i32'> => {
    const targets = c.facts.targets as number[];
    return i32View([targets.length], targets);
  };
  const attributesOf = (c: GoldenCase) => ({
    computeDtype: 'f32' as const,
    lossScale: 1 / (c.facts.targets as number[]).length,
    softCap: c.facts.soft_cap as number,
    gradient: true,
  });
  const topClasses = (c: GoldenCase) =>
    runOp(
      backend,
      linearCrossEntropyTopK,
      { x: viewOf(c.tensor('wide')), weight: viewOf(c.tensor('head')), targets: targetsOf(c) },
      { ...attributesOf(c), topK: c.facts.k as number },
    );
});
