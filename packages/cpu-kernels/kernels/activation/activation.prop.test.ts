import fc from 'fast-check';
import { expect, test } from 'vitest';
import { hostData, createHostBackend, f32View, runOp } from '@qdylora/contract';
import { activation, activationBackward, ACTIVATION_KINDS } from '@qdylora/tensor';
import { arbitrarySeed, arbitrarySize, checkKernel, EPSILON, normalView } from '@qdylora/testing';
import { activationBounds } from '../../test/activation-bounds.ts';
import { everyLevel } from '../../test/every-level.ts';

const levels = await everyLevel();
const arbitraryKind = fc.constantFrom(...ACTIVATION_KINDS);
const arbitraryScale = fc.constantFrom(1, 4, 60);

test('activations agree with their references at every size', () => {
  fc.assert(
    fc.property(
      arbitrarySize(66_000),
      arbitrarySeed,
      arbitraryKind,
      arbitraryScale,
      (size, seed, kind, scale) => {
        const x = normalView(seed, 'x', [size], scale);
        checkKernel(activation, levels, {
          inputs: { x },
          attributes: { kind },
          bound: (_, i) => activationBounds(kind, hostData(x)[i]!).value,
        });
      },
    ),
    { numRuns: 8 },
  );
});

test('their gradients agree', () => {
  fc.assert(
    fc.property(
      arbitrarySize(66_000),
      arbitrarySeed,
      arbitraryKind,
      arbitraryScale,
      (size, seed, kind, scale) => {
        const x = normalView(seed, 'x', [size], scale);
        const dy = normalView(seed, 'dy', [size]);
        checkKernel(activationBackward, levels, {
          inputs: { x, dy },
          attributes: { kind },
          bound: (_, i, want) =>
            Math.abs(hostData(dy)[i]!) * activationBounds(kind, hostData(x)[i]!).slope +
            EPSILON * Math.abs(want),
        });
      },
    ),
    { numRuns: 8 },
  );
});

test('zeros, huge numbers and NaN behave as in the reference', () => {
  const x = f32View([9], [-1e30, -1000, -88.8, -0, 0, 88.8, 1000, 1e30, NaN]);
  const dy = f32View([9], new Float32Array(9).fill(1));
  for (const kind of ['gelu', 'gelu_tanh', 'relu'] as const) {
    checkKernel(activation, levels, {
      inputs: { x },
      attributes: { kind },
      bound: (_, i) => activationBounds(kind, hostData(x)[i]!).value,
    });
    checkKernel(activationBackward, levels, {
      inputs: { x, dy },
      attributes: { kind },
      bound: (_, i) => activationBounds(kind, hostData(x)[i]!).slope,
    });
  }
});

test('the gradient is the same bits when it is written over dy', () => {
  for (const size of [1, 7, 64, 5001]) {
    const x = normalView(1, 'x', [size], 3);
    const dy = normalView(1, 'dy', [size]);
    for (const backend of [createHostBackend(), ...levels.flatMap(({ backends }) => backends)]) {
      const apart = runOp(backend, activationBackward, { x, dy }, { kind: 'gelu' });
      const over = f32View([size], hostData(dy).slice());
      expect(
        hostData(runOp(backend, activationBackward, { x, dy: over }, { kind: 'gelu' }, { dx: over }).dx),
      ).toEqual(hostData(apart.dx));
    }
  }
});

test('an unknown kind is refused with the kinds that there are', () => {
  for (const backend of [createHostBackend(), levels[0]!.backends[0]!])
    expect(() => runOp(backend, activation, { x: f32View([1]) }, { kind: 'swish' as never })).toThrow(
      /silu, gelu, gelu_tanh, relu.*got swish/,
    );
});
