import { expect, test } from 'vitest';
import { hostData, createHostBackend, f32View, runOp } from '@qdylora/contract';
import { activationGateBackward, ACTIVATION_KINDS } from '@qdylora/tensor';
import { normalView } from '@qdylora/testing';
import { everyLevel } from '../../test/every-level.ts';

const levels = await everyLevel();

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
