import { expect, test } from 'vitest';
import { hostData, createHostBackend, f32View, runOp } from '@qdylora/contract';
import { activation, activationBackward } from '@qdylora/tensor';
import { normalView } from '@qdylora/testing';
import { everyLevel } from '../../test/every-level.ts';

const levels = await everyLevel();

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
  for (const backend of [createHostBackend(), levels[0].backends[0]])
    expect(() => runOp(backend, activation, { x: f32View([1]) }, { kind: 'swish' as never })).toThrow(
      /must be one of silu, gelu, gelu_tanh, relu.*\(got swish\)/,
    );
});
