import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hostData, f32View, runOp } from '@qdylora/contract';
import { lion8bitStep } from '@qdylora/tensor';
import { checkKernel, EPSILON, normalView, type Bound } from '@qdylora/testing';
import { everyLevel } from '../../test/every-level.ts';
import {
  arbitraryLion,
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

describe('an 8-bit Lion step', () => {
  it('agrees with its reference at every shape, in codes except where rounding decides', () => {
    fc.assert(
      fc.property(arbitraryStateShape, arbitraryLion, ({ rows, columns, seed }, attributes) => {
        const { beta1, beta2, learningRate, gradientScale } = attributes;
        const shape = [rows, columns] as const;
        const gradient = gradientsOf(seed, shape);
        const parameter = normalView(seed, 'p', shape);
        const m = stateOf(seed, 'm', shape, 1e-4);
        const old = decoded(m, M_MAP);
        const g = Float64Array.from(hostData(gradient), (x) => x * gradientScale);
        const blend = (beta: number, of = (x: number) => x) =>
          old.map((x, i) => of(beta * x) + of((1 - beta) * g[i]!));
        const { codes, absmax } = stateBound(blend(beta2), blend(beta2, Math.abs), M_MAP, columns);
        const directions = blend(beta1);
        const sizes = blend(beta1, Math.abs);
        const byName: Record<string, Bound> = {
          mCodes: codes,
          mAbsmax: absmax,
          parameter: (_, i, want) =>
            4 * EPSILON * (Math.abs(hostData(parameter)[i]!) + Math.abs(want)) +
            (Math.abs(directions[i]!) > MOMENT * EPSILON * sizes[i]! + 2 ** -147 ? 0 : 2 * learningRate),
        };
        checkKernel(lion8bitStep, levels, {
          inputs: { gradient, mMap: M_MAP },
          attributes,
          given: { parameter, mCodes: m.codes, mAbsmax: m.absmax },
          bound: (name, i, want) => byName[name]!(name, i, want),
        });
      }),
      { numRuns: 12 },
    );
  });

  it('refuses a map that is not the signed dynamic one', () => {
    const m = stateOf(1, 'm', [1, 8], 1);
    const attributes = { learningRate: 1e-4, beta1: 0.9, beta2: 0.99, weightDecay: 0, gradientScale: 1 };
    expect(() =>
      runOp(levels[0]!.backends[0]!, lion8bitStep, { gradient: f32View([1, 8]), mMap: V_MAP }, attributes, {
        parameter: f32View([1, 8]),
        mCodes: m.codes,
        mAbsmax: m.absmax,
      }),
    ).toThrow(/the signed dynamic map/);
  });
});
