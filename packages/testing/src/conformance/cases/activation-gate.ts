import { f32View, hostData } from '@qdylora/contract';
import { ACTIVATION_KINDS, activationGate, activationGateBackward } from '@qdylora/tensor';
import fc from 'fast-check';
import { activationBounds } from '../activation-bounds.ts';
import { arbitrarySeed, arbitrarySize, normalView } from '../arbitraries.ts';
import { conformanceCase } from '../conformance-case.ts';
import { EPSILON } from '../tolerance.ts';

const parameters = fc.record({
  size: arbitrarySize(66_000),
  seed: arbitrarySeed,
  kind: fc.constantFrom(...ACTIVATION_KINDS),
  scale: fc.constantFrom(1, 10, 60),
});

export const activationGateCases = [
  conformanceCase(activationGate, {
    title: 'at every size and kind, for ±0, extreme gates and NaN',
    parameters,
    numRuns: 8,
    call: ({ size, seed, kind, scale }) => {
      const gate = normalView(seed, 'gate', [size], scale);
      const up = normalView(seed, 'up', [size]);
      return {
        inputs: { gate, up },
        attributes: { kind },
        bound: (_, i, want) =>
          Math.abs(hostData(up)[i]) * activationBounds(kind, hostData(gate)[i]).value +
          EPSILON * Math.abs(want),
      };
    },
    edges: () => {
      const gate = f32View([8], [-1e30, -1000, -88.8, -0, 0, 88.8, 1000, NaN]);
      const up = f32View([8], new Float32Array(8).fill(1));
      return ACTIVATION_KINDS.map((kind) => ({
        inputs: { gate, up },
        attributes: { kind },
        bound: (_, i) => activationBounds(kind, hostData(gate)[i]).value,
      }));
    },
  }),
  conformanceCase(activationGateBackward, {
    title: 'at every size and kind, within the bounds of the value and of the slope',
    parameters,
    numRuns: 8,
    call: ({ size, seed, kind, scale }) => {
      const gate = normalView(seed, 'gate', [size], scale);
      const up = normalView(seed, 'up', [size]);
      const dy = normalView(seed, 'dy', [size]);
      return {
        inputs: { gate, up, dy },
        attributes: { kind },
        bound: (name, i, want) => {
          const { value, slope } = activationBounds(kind, hostData(gate)[i]);
          const error = name === 'dUp' ? value : Math.abs(hostData(up)[i]) * slope;
          return Math.abs(hostData(dy)[i]) * error + 2 * EPSILON * Math.abs(want);
        },
      };
    },
  }),
];
