import fc from 'fast-check';
import { expect, test } from 'vitest';
import { hostData, createHostBackend, f32View, runOp } from '@qdylora/contract';
import { activationGate, activationGateBackward, ACTIVATION_KINDS } from '@qdylora/tensor';
import { arbitrarySeed, arbitrarySize, checkKernel, EPSILON, normalView, type Bound } from '@qdylora/testing';
import { activationBounds } from '../../test/activation-bounds.ts';
import { everyLevel } from '../../test/every-level.ts';

const levels = await everyLevel();
const arbitraryKind = fc.constantFrom(...ACTIVATION_KINDS);
const arbitraryScale = fc.constantFrom(1, 10, 60);

test('activation-gate agrees with its reference at every size and kind', () => {
  fc.assert(
    fc.property(
      arbitrarySize(66_000),
      arbitrarySeed,
      arbitraryKind,
      arbitraryScale,
      (size, seed, kind, scale) => {
        const gate = normalView(seed, 'gate', [size], scale);
        const up = normalView(seed, 'up', [size]);
        const bound: Bound = (_, i, want) =>
          Math.abs(hostData(up)[i]!) * activationBounds(kind, hostData(gate)[i]!).value +
          EPSILON * Math.abs(want);
        checkKernel(activationGate, levels, { inputs: { gate, up }, attributes: { kind }, bound });
      },
    ),
    { numRuns: 8 },
  );
});

test('its gradients agree, within the bounds of the value and of the slope', () => {
  fc.assert(
    fc.property(
      arbitrarySize(66_000),
      arbitrarySeed,
      arbitraryKind,
      arbitraryScale,
      (size, seed, kind, scale) => {
        const gate = normalView(seed, 'gate', [size], scale);
        const up = normalView(seed, 'up', [size]);
        const dy = normalView(seed, 'dy', [size]);
        const bound: Bound = (name, i, want) => {
          const { value, slope } = activationBounds(kind, hostData(gate)[i]!);
          const d = Math.abs(hostData(dy)[i]!);
          return (
            (name === 'dUp' ? d * value : d * Math.abs(hostData(up)[i]!) * slope) +
            2 * EPSILON * Math.abs(want)
          );
        };
        checkKernel(activationGateBackward, levels, {
          inputs: { gate, up, dy },
          attributes: { kind },
          bound,
        });
      },
    ),
    { numRuns: 8 },
  );
});

test('extreme gates and NaN behave as in the reference', () => {
  const gate = f32View([8], [-1e30, -1000, -88.8, -0, 0, 88.8, 1000, NaN]);
  const up = f32View([8], new Float32Array(8).fill(1));
  for (const kind of ACTIVATION_KINDS)
    checkKernel(activationGate, levels, {
      inputs: { gate, up },
      attributes: { kind },
      bound: (_, i) => activationBounds(kind, hostData(gate)[i]!).value,
    });
});

test('its gradients are the same bits when they are written over dy and up', () => {
  for (const size of [1, 7, 64, 5001]) {
    const gate = normalView(1, 'gate', [size], 3);
    const up = normalView(1, 'up', [size]);
    const dy = normalView(1, 'dy', [size]);
    for (const backend of [createHostBackend(), ...levels.flatMap(({ backends }) => backends)]) {
      for (const kind of ACTIVATION_KINDS) {
        const apart = runOp(backend, activationGateBackward, { gate, up, dy }, { kind });
        const over = f32View([size], hostData(dy).slice());
        const overUp = f32View([size], hostData(up).slice());
        const { dGate, dUp } = runOp(
          backend,
          activationGateBackward,
          { gate, up: overUp, dy: over },
          { kind },
          { dGate: over, dUp: overUp },
        );
        expect([hostData(dGate), hostData(dUp)]).toEqual([hostData(apart.dGate), hostData(apart.dUp)]);
      }
    }
  }
});
