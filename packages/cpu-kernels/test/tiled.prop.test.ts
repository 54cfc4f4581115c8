import fc from 'fast-check';
import { expect, test } from 'vitest';
import { runOp, type ArrayView } from '@qdylora/contract';
import { adaptedLinear, adaptedLinearBackward } from '@qdylora/lora-dynamic';
import { dequantizeBlockwise, matmulNf4, matmulNf4InputGradient, quantizedAttributes, quantizedInputs, quantizeNf4, tileMatrix } from '@qdylora/quant';
import { arbitrarySeed, arbitrarySize, normalView } from '@qdylora/testing';
import { everyLevel } from './every-level.ts';

const backends = (await everyLevel()).map(({ backends: own }) => own.at(-1)!);

test('products and decodes of a tiled matrix have the bits of the row-major one', () => {
  const arbitrary = fc.record({ tokens: arbitrarySize(40), bands: fc.integer({ min: 1, max: 3 }), runs: fc.integer({ min: 1, max: 18 }), r: arbitrarySize(9), seed: arbitrarySeed, doubleQuantization: fc.boolean(), computeDtype: fc.constantFrom<'f32' | 'bf16'>('f32', 'bf16') });
  fc.assert(fc.property(arbitrary, ({ tokens, bands, runs, r, seed, doubleQuantization, computeDtype }) => {
    const [rows, cols] = [32 * bands, 64 * runs], matrix = quantizeNf4({ data: normalView(seed, 'w', [rows, cols]).data, shape: [rows, cols] }, { doubleQuantization }), tiled = tileMatrix(matrix);
    const x = normalView(seed, 'x', [tokens, cols]), dy = normalView(seed, 'dy', [tokens, rows]), a = normalView(seed, 'a', [r, cols]), b = normalView(seed, 'b', [r, rows]), u = normalView(seed, 'u', [tokens, r]);
    const results = (one: typeof matrix, backend: (typeof backends)[number]): ArrayView[] => {
      const weight = quantizedInputs(one), attributes = { ...quantizedAttributes(one), computeDtype, accumulate: false, scale: 0.5, trainFrom: 0, wantsDx: true };
      return [
        runOp(backend, dequantizeBlockwise, weight, attributes).values, runOp(backend, matmulNf4, { x, ...weight }, attributes).y, runOp(backend, matmulNf4InputGradient, { dy, ...weight }, attributes).dx,
        runOp(backend, adaptedLinear, { x, a, b, ...weight } as never, attributes).y, runOp(backend, adaptedLinearBackward, { dy, x, u, a, b, ...weight } as never, attributes).dx!,
      ].map(({ dtype, shape, data }) => ({ dtype, shape, data: data.slice() }) as ArrayView);
    };
    for (const backend of backends) backend.memory.scoped(() => expect(results(tiled, backend)).toEqual(results(matrix, backend)));
  }), { numRuns: 8 });
});
