import { f32View, hostData } from '@qdylora/contract';
import { lion8bitStep, lionRates } from '@qdylora/tensor';
import fc from 'fast-check';
import { normalView } from '../arbitraries.ts';
import { conformanceCase } from '../conformance-case.ts';
import {
  arbitraryLion,
  arbitraryStateShape,
  decoded,
  gradientsOf,
  M_MAP,
  MOMENT,
  stateBound,
  stateOf,
} from '../eight-bit-states.ts';
import { EPSILON, type Bound } from '../tolerance.ts';

export const lion8bitStepCases = [
  conformanceCase(lion8bitStep, {
    title: 'at every shape: parameters, scales, and codes except where rounding decides',
    parameters: fc.record({ size: arbitraryStateShape, attributes: arbitraryLion }),
    numRuns: 12,
    call: ({ size: { rows, columns, seed }, attributes }) => {
      const { beta1, beta2, learningRate, gradientScale } = attributes;
      const shape = [rows, columns] as const;
      const gradient = gradientsOf(seed, shape);
      const parameter = normalView(seed, 'p', shape);
      const m = stateOf(seed, 'm', shape, 1e-4);
      const oldM = decoded(m, M_MAP);
      const g = Float64Array.from(hostData(gradient), (x) => x * gradientScale);
      const blend = (beta: number, of = (x: number) => x) =>
        oldM.map((x, i) => of(beta * x) + of((1 - beta) * g[i]));
      const { codes, absmax } = stateBound(blend(beta2), blend(beta2, Math.abs), M_MAP, columns);
      const directions = blend(beta1);
      const sizes = blend(beta1, Math.abs);
      const bounds: Record<string, Bound> = {
        mCodes: codes,
        mAbsmax: absmax,
        parameter: (_, i, want) =>
          4 * EPSILON * (Math.abs(hostData(parameter)[i]) + Math.abs(want)) +
          (Math.abs(directions[i]) > MOMENT * EPSILON * sizes[i] + 2 ** -147 ? 0 : 2 * learningRate),
      };
      return {
        inputs: { gradient, rates: f32View([3], lionRates(attributes)), mMap: M_MAP },
        attributes: { beta1, beta2 },
        suppliedOutputs: { parameter, mCodes: m.codes, mAbsmax: m.absmax },
        bound: (name, i, want) => bounds[name](name, i, want),
      };
    },
  }),
];
