import { createHostBackend, f32View, hostData, runOp, viewOf, type Backend } from '@qdylora/contract';
import { lion8bitStep, lionStep } from '@qdylora/tensor';
import { M_MAP } from '@qdylora/testing/conformance';
import { describe, expect, test } from 'vitest';
import { everyLevel } from './every-level.ts';

const levels = await everyLevel([1]);
/** A gradient of NaN, and one of each sign, of 0 too: parameters are 1, rate 0.5. */
const gradients = [NaN, 1, 0, -1];
const want = [NaN, 0.5, 1, 1.5];
const rates = f32View([3], [0.5, 1, 1]);
const betas = { beta1: 0.5, beta2: 0.75 };

function stepped(backend: Backend): number[] {
  const parameter = f32View([4], [1, 1, 1, 1]);
  const inputs = { gradient: f32View([4], gradients), rates };
  runOp(backend, lionStep, inputs, betas, { parameter, m: f32View([4]) });
  return [...hostData(parameter)];
}

function stepped8bit(backend: Backend): number[] {
  const parameter = f32View([1, 4], [1, 1, 1, 1]);
  runOp(backend, lion8bitStep, { gradient: f32View([1, 4], gradients), rates, mMap: M_MAP }, betas, {
    parameter,
    mCodes: viewOf('u8', [1, 4], new Uint8Array(4)),
    mAbsmax: f32View([1, 1]),
  });
  return [...hostData(parameter)];
}

describe.each([
  { label: 'the reference', backend: createHostBackend() },
  ...levels.map(({ label, backends }) => ({ label, backend: backends[0] })),
])('$label', ({ backend }) => {
  test.each([
    ['lion-step', stepped],
    ['lion-8bit-step', stepped8bit],
  ])('makes a parameter NaN where its gradient is NaN, and only there (%s)', (_, step) => {
    expect(step(backend)).toEqual(want);
  });
});
