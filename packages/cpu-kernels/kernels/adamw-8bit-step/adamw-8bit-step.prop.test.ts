import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hostData, f32View, runOp, type ArrayView } from '@qdylora/contract';
import { adamw8bitStep, type AdamwAttributes } from '@qdylora/tensor';
import { checkKernel, EPSILON, normalView, type Bound } from '@qdylora/testing';
import { everyLevel } from '../../test/every-level.ts';
import {
  arbitraryStateShape,
  decoded,
  gradientsOf,
  M_MAP,
  MOMENT,
  stateBound,
  stateOf,
  V_MAP,
} from '../../test/state-cases.ts';

const levels = await everyLevel();
const arbitraryAttributes: fc.Arbitrary<AdamwAttributes> = fc.record({
  learningRate: fc.constantFrom(1e-4, 2e-3),
  beta1: fc.constantFrom(0, 0.9),
  beta2: fc.constantFrom(0.95, 0.999),
  epsilon: fc.constantFrom(1e-8, 1e-6),
  weightDecay: fc.constantFrom(0, 0.1),
  step: fc.integer({ min: 1, max: 5000 }),
  gradientScale: fc.constantFrom(1, 0.37),
});
const stateArrays = (seed: number, shape: readonly [number, number]) => ({
  parameter: normalView(seed, 'p', shape),
  m: stateOf(seed, 'm', shape, 1e-4),
  v: stateOf(seed, 'v', shape, 1e-8),
});

describe('an 8-bit AdamW step', () => {
  it('agrees with its reference at every shape, in codes except where rounding decides', () => {
    fc.assert(
      fc.property(arbitraryStateShape, arbitraryAttributes, ({ rows, columns, seed }, attributes) => {
        const { beta1, beta2, learningRate, step, epsilon, gradientScale } = attributes;
        const shape = [rows, columns] as const;
        const gradient = gradientsOf(seed, shape);
        const { parameter, m, v } = stateArrays(seed, shape);
        const g = Float64Array.from(hostData(gradient), (x) => x * gradientScale);
        const oldM = decoded(m, M_MAP);
        const oldV = decoded(v, V_MAP);
        const first = oldM.map((x, i) => beta1 * x + (1 - beta1) * g[i]!);
        const mSizes = oldM.map((x, i) => Math.abs(beta1 * x) + Math.abs((1 - beta1) * g[i]!));
        const second = oldV.map((x, i) => beta2 * x + (1 - beta2) * g[i]! ** 2);
        const mBound = stateBound(first, mSizes, M_MAP, columns);
        const vBound = stateBound(second, second, V_MAP, columns);
        const byName: Record<string, Bound> = {
          mCodes: mBound.codes,
          mAbsmax: mBound.absmax,
          vCodes: vBound.codes,
          vAbsmax: vBound.absmax,
          // As adamw-step's: p's own roundings, and a step whose numerator is off by m's error and whose
          // denominator by half of v's, with ten operations of its own.
          parameter: (_, i, want) =>
            3 * EPSILON * (Math.abs(hostData(parameter)[i]!) + Math.abs(want)) +
            ((((MOMENT + MOMENT / 2 + 10) * EPSILON * learningRate) / (1 - beta1 ** step)) * mSizes[i]!) /
              (Math.sqrt(second[i]!) / Math.sqrt(1 - beta2 ** step) + epsilon),
        };
        const given = { parameter, mCodes: m.codes, mAbsmax: m.absmax, vCodes: v.codes, vAbsmax: v.absmax };
        checkKernel(adamw8bitStep, levels, {
          inputs: { gradient, mMap: M_MAP, vMap: V_MAP },
          attributes,
          given,
          bound: (name, i, want) => byName[name]!(name, i, want),
        });
      }),
      { numRuns: 12 },
    );
  });

  it('refuses maps that are not the dynamic ones', () => {
    const { parameter, m, v } = stateArrays(1, [1, 8]);
    const attributes = {
      learningRate: 1e-3,
      beta1: 0.9,
      beta2: 0.999,
      epsilon: 1e-8,
      weightDecay: 0,
      step: 1,
      gradientScale: 1,
    };
    const linear = f32View(
      [256],
      Float32Array.from({ length: 256 }, (_, i) => (i - 127) / 128),
    );
    const run = (mMap: ArrayView<'f32'>, vMap: ArrayView<'f32'>) => () =>
      runOp(levels[0]!.backends[0]!, adamw8bitStep, { gradient: f32View([1, 8]), mMap, vMap }, attributes, {
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
