import { describe, expect, it } from 'vitest';
import { f32View, runOp, type ArrayView } from '@qdylora/contract';
import { adamw8bitStep } from '@qdylora/tensor';
import { normalView } from '@qdylora/testing';
import { everyLevel } from '../../test/every-level.ts';
import { M_MAP, stateOf, V_MAP } from '@qdylora/testing/conformance';

const levels = await everyLevel();
const stateArrays = (seed: number, shape: readonly [number, number]) => ({
  parameter: normalView(seed, 'p', shape),
  m: stateOf(seed, 'm', shape, 1e-4),
  v: stateOf(seed, 'v', shape, 1e-8),
});

describe('an 8-bit AdamW step', () => {
  it('refuses maps that are not the dynamic ones', () => {
    const { parameter, m, v } = stateArrays(1, [1, 8]);
    const attributes = { beta1: 0.9, beta2: 0.999 };
    const inputs = { gradient: f32View([1, 8]), rates: f32View([4]) };
    const linear = f32View(
      [256],
      Float32Array.from({ length: 256 }, (_, i) => (i - 127) / 128),
    );
    const run = (mMap: ArrayView<'f32'>, vMap: ArrayView<'f32'>) => () =>
      runOp(levels[0].backends[0], adamw8bitStep, { ...inputs, mMap, vMap }, attributes, {
        parameter,
        mCodes: m.codes,
        mAbsmax: m.absmax,
        vCodes: v.codes,
        vAbsmax: v.absmax,
      });
    expect(run(linear, V_MAP)).toThrow(/the signed and the unsigned dynamic map/);
    expect(run(V_MAP, M_MAP)).toThrow(/the signed and the unsigned dynamic map/);
    expect(run(M_MAP, V_MAP)).not.toThrow();
  });
});
