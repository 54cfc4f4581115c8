import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createHostBackend, elementsOf, f32View, runOp } from '@qdylora/contract';
import { siluGate, siluGateBackward } from '@qdylora/tensor';
import { arbitrarySeed, arbitrarySize, checkKernel, EPSILON, normalView, relativeBound, type Bound } from '@qdylora/testing';
import { everyLevel } from '../../test/every-level.ts';

const levels = await everyLevel();

/** exp (≤ 2 roundings), 1 + it, 1 / it, two products: 6, doubled for their growth near s = 0. Where exp overflows (gate < −88.7) the kernel gives 0 for at most 1e-36 · |up|. */
const forwardBound: Bound = (_, __, want) => relativeBound(12)('', 0, want) + 1e-35;

test('silu-gate agrees with its reference at every size', () => {
  fc.assert(fc.property(arbitrarySize(70_000), arbitrarySeed, fc.constantFrom(1, 10, 60), (size, seed, scale) => {
    checkKernel(siluGate, levels, { inputs: { gate: normalView(seed, 'gate', [size], scale), up: normalView(seed, 'up', [size]) }, attributes: {}, bound: forwardBound });
  }), { numRuns: 8 });
});

test('its gradient agrees: errors are relative to dy·up·s·(1 + |gate|·(1 − s)), since the true factor passes through zero', () => {
  fc.assert(fc.property(arbitrarySize(70_000), arbitrarySeed, fc.constantFrom(1, 10, 60), (size, seed, scale) => {
    const gate = normalView(seed, 'gate', [size], scale), up = normalView(seed, 'up', [size]), dy = normalView(seed, 'dy', [size]);
    const bound: Bound = (name, i) => {
      const g = gate.data[i]!, s = 1 / (1 + Math.exp(-g)), d = Math.abs(dy.data[i]!);
      // s: 6 roundings; 1 − s: their absolute error, so (1 − s) is off by 6·ε·s·(1 − s) + ε; three products and a sum more.
      return name === 'dUp' ? 14 * EPSILON * d * Math.abs(g) * s + 1e-35 : 20 * EPSILON * d * Math.abs(up.data[i]!) * s * (1 + Math.abs(g) * (1 - s + 0.1)) + 1e-35;
    };
    checkKernel(siluGateBackward, levels, { inputs: { gate, up, dy }, attributes: {}, bound });
  }), { numRuns: 8 });
});

test('extreme gates and NaN behave as in the reference', () => {
  const gate = f32View([8], [-1e30, -1000, -88.8, -0, 0, 88.8, 1000, NaN]), up = f32View([8], new Float32Array(8).fill(1));
  checkKernel(siluGate, levels, { inputs: { gate, up }, attributes: {}, bound: forwardBound });
});

test('its gradient is the same bits when it is written over dy', () => {
  for (const size of [1, 7, 64, 5001]) {
    const gate = normalView(1, 'gate', [size], 3), up = normalView(1, 'up', [size]), dy = normalView(1, 'dy', [size]);
    for (const backend of [createHostBackend(), ...levels.flatMap(({ backends }) => backends)]) {
      const apart = runOp(backend, siluGateBackward, { gate, up, dy }, {}), over = f32View([size], dy.data.slice());
      const { dGate, dUp } = runOp(backend, siluGateBackward, { gate, up, dy: over }, {}, { dGate: over });
      expect([elementsOf(dGate), elementsOf(dUp)]).toEqual([elementsOf(apart.dGate), elementsOf(apart.dUp)]);
    }
  }
});
