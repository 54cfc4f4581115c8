import { createHostBackend, f32View, runOp } from '@qdylora/contract';
import { expect, test } from 'vitest';
import { activationGateBackward } from './activation-gate.ts';

test.each([[3], [5]])('the gradient of a gate of 4 numbers refuses an up of %i', (length) => {
  const inputs = { gate: f32View([4]), up: f32View([length]), dy: f32View([4]) };
  expect(() => runOp(createHostBackend(), activationGateBackward, inputs, { kind: 'silu' })).toThrow(
    /up must be \[4\]/,
  );
});
