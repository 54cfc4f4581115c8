import fc from 'fast-check';
import { expect, test } from 'vitest';
import { hostData, createHostBackend, f32View, reshaped, runOp, type ArrayView } from '@qdylora/contract';
import { add, residualNorm, rmsNorm } from '@qdylora/tensor';
import { arbitrarySeed, arbitrarySize, normalView } from '@qdylora/testing';
import { everyLevel } from '../../test/every-level.ts';

const levels = await everyLevel();
const sizes = fc.tuple(
  arbitrarySize(100),
  arbitrarySize(300).filter((hidden) => hidden > 0),
);

test('residual-norm has the bits of add and then rms-norm, in an array of its own or over b', () => {
  fc.assert(
    fc.property(sizes, arbitrarySeed, fc.constantFrom(0, 1), ([tokens, hidden], seed, weightOffset) => {
      const [a, b] = ['a', 'b'].map((name) => normalView(seed, name, [tokens, hidden])) as [
        ArrayView<'f32'>,
        ArrayView<'f32'>,
      ];
      const weight = normalView(seed, 'w', [hidden]);
      const attributes = { epsilon: 1e-5, weightOffset };
      for (const {
        backends: [backend],
      } of levels) {
        const sum = runOp(backend!, add, { a, b }, {}).y;
        const apart = runOp(backend!, rmsNorm, { x: sum, weight }, attributes);
        const over = f32View([tokens, hidden], hostData(b).slice());
        for (const together of [
          runOp(backend!, residualNorm, { a, b, weight }, attributes),
          runOp(backend!, residualNorm, { a, b: over, weight }, attributes, { sum: over }),
        ]) {
          expect([together.sum, together.y, together.inverseRms].map((view) => hostData(view))).toEqual(
            [sum, apart.y, apart.inverseRms].map((view) => hostData(view)),
          );
        }
      }
    }),
    { numRuns: 12 },
  );
});

test('each head of a row is normalized by itself, as if the heads were rows', () => {
  const [tokens, heads, headDim] = [5, 3, 20];
  const x = normalView(1, 'x', [tokens, heads * headDim]);
  const weight = normalView(1, 'w', [headDim]);
  const attributes = { epsilon: 1e-5, weightOffset: 1 };
  const asRows = (view: typeof x): typeof x => reshaped(view, [tokens * heads, headDim]);
  const host = createHostBackend();
  const { y, inverseRms } = runOp(host, rmsNorm, { x, weight }, attributes);
  const rows = runOp(host, rmsNorm, { x: asRows(x), weight }, attributes);
  expect([y.shape, hostData(y), hostData(inverseRms)]).toEqual([
    [tokens, heads * headDim],
    hostData(rows.y),
    hostData(rows.inverseRms),
  ]);
});
