import { describe, expect, it } from 'vitest';
import { f32View, runOp } from '@qdylora/contract';
import { lion8bitStep } from '@qdylora/tensor';
import { everyLevel } from '../../test/every-level.ts';
import { stateOf, V_MAP } from '@qdylora/testing/conformance';

const levels = await everyLevel();

describe('an 8-bit Lion step', () => {
  it('refuses a map that is not the signed dynamic one', () => {
    const m = stateOf(1, 'm', [1, 8], 1);
    const attributes = { beta1: 0.9, beta2: 0.99 };
    const inputs = { gradient: f32View([1, 8]), rates: f32View([3]), mMap: V_MAP };
    expect(() =>
      runOp(levels[0].backends[0], lion8bitStep, inputs, attributes, {
        parameter: f32View([1, 8]),
        mCodes: m.codes,
        mAbsmax: m.absmax,
      }),
    ).toThrow(/the signed dynamic map/);
  });
});
