import { f32View, hostData } from '@qdylora/contract';
import { activation, ACTIVATION_KINDS, activationBackward } from '@qdylora/tensor';
import fc from 'fast-check';
import { activationBounds } from '../activation-bounds.ts';
import { arbitrarySeed, arbitrarySize, normalView } from '../arbitraries.ts';
import { conformanceCase } from '../conformance-case.ts';
import { EPSILON } from '../tolerance.ts';

const parameters = fc.record({
  size: arbitrarySize(66_000),
  seed: arbitrarySeed,
  kind: fc.constantFrom(...ACTIVATION_KINDS),
  scale: fc.constantFrom(1, 4, 60),
});

const edgeInput = () => f32View([9], [-1e30, -1000, -88.8, -0, 0, 88.8, 1000, 1e30, NaN]);

export const activationCases = [
  conformanceCase(activation, {
    title: 'at every size, for ±0, huge numbers and NaN',
    parameters,
    numRuns: 8,
    call: ({ size, seed, kind, scale }) => {
      const x = normalView(seed, 'x', [size], scale);
      return {
        inputs: { x },
        attributes: { kind },
        bound: (_, i) => activationBounds(kind, hostData(x)[i]).value,
      };
    },
    edges: () => {
      const x = edgeInput();
      return ACTIVATION_KINDS.map((kind) => ({
        inputs: { x },
        attributes: { kind },
        bound: (_, i) => activationBounds(kind, hostData(x)[i]).value,
      }));
    },
  }),
  conformanceCase(activationBackward, {
    title: 'at every size, for ±0, huge numbers and NaN',
    parameters,
    numRuns: 8,
    call: ({ size, seed, kind, scale }) => {
      const x = normalView(seed, 'x', [size], scale);
      const dy = normalView(seed, 'dy', [size]);
      return {
        inputs: { x, dy },
        attributes: { kind },
        bound: (_, i, want) =>
          Math.abs(hostData(dy)[i]) * activationBounds(kind, hostData(x)[i]).slope + EPSILON * Math.abs(want),
      };
    },
    edges: () => {
      const x = edgeInput();
      const dy = f32View([9], new Float32Array(9).fill(1));
      return ACTIVATION_KINDS.map((kind) => ({
        inputs: { x, dy },
        attributes: { kind },
        bound: (_, i) => activationBounds(kind, hostData(x)[i]).slope,
      }));
    },
  }),
];
