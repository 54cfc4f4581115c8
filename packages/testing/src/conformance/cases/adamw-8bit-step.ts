import { f32View, hostData } from '@qdylora/contract';
import { adamw8bitRates, adamw8bitStep } from '@qdylora/tensor';
import fc from 'fast-check';
import { normalView } from '../arbitraries.ts';
import { conformanceCase } from '../conformance-case.ts';
import {
  arbitraryStateShape,
  decoded,
  gradientsOf,
  M_MAP,
  MOMENT,
  stateBound,
  stateOf,
  V_MAP,
} from '../eight-bit-states.ts';
import { EPSILON, type Bound } from '../tolerance.ts';
import { arbitraryAdamw } from './adamw-step.ts';

export const adamw8bitStepCases = [
  conformanceCase(adamw8bitStep, {
    title: 'at every shape: parameters, scales, and codes except where rounding decides',
    parameters: fc.record({ size: arbitraryStateShape, attributes: arbitraryAdamw }),
    numRuns: 12,
    call: ({ size: { rows, columns, seed }, attributes }) => {
      const { beta1, beta2, learningRate, step, epsilon, gradientScale } = attributes;
      const shape = [rows, columns] as const;
      const gradient = gradientsOf(seed, shape);
      const parameter = normalView(seed, 'p', shape);
      const m = stateOf(seed, 'm', shape, 1e-4);
      const v = stateOf(seed, 'v', shape, 1e-8);
      const g = Float64Array.from(hostData(gradient), (x) => x * gradientScale);
      const oldM = decoded(m, M_MAP);
      const oldV = decoded(v, V_MAP);
      const first = oldM.map((x, i) => beta1 * x + (1 - beta1) * g[i]);
      const mSizes = oldM.map((x, i) => Math.abs(beta1 * x) + Math.abs((1 - beta1) * g[i]));
      const second = oldV.map((x, i) => beta2 * x + (1 - beta2) * g[i] ** 2);
      const mBound = stateBound(first, mSizes, M_MAP, columns);
      const vBound = stateBound(second, second, V_MAP, columns);
      const bounds: Record<string, Bound> = {
        mCodes: mBound.codes,
        mAbsmax: mBound.absmax,
        vCodes: vBound.codes,
        vAbsmax: vBound.absmax,
        // As adamw-step's: p's own roundings, and a step whose numerator is off by m's error and whose
        // denominator by half of v's, with ten operations of its own.
        parameter: (_, i, want) =>
          3 * EPSILON * (Math.abs(hostData(parameter)[i]) + Math.abs(want)) +
          ((((MOMENT + MOMENT / 2 + 10) * EPSILON * learningRate) / (1 - beta1 ** step)) * mSizes[i]) /
            (Math.sqrt(second[i]) / Math.sqrt(1 - beta2 ** step) + epsilon),
      };
      return {
        inputs: {
          gradient,
          rates: f32View([4], adamw8bitRates(attributes, attributes)),
          mMap: M_MAP,
          vMap: V_MAP,
        },
        attributes: { beta1, beta2 },
        suppliedOutputs: {
          parameter,
          mCodes: m.codes,
          mAbsmax: m.absmax,
          vCodes: v.codes,
          vAbsmax: v.absmax,
        },
        bound: (name, i, want) => bounds[name](name, i, want),
      };
    },
  }),
];
