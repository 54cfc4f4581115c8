import fc from 'fast-check';
import { expect, test } from 'vitest';
import { f32View, hostData, runOp, type ArrayView } from '@qdylora/contract';
import { adaptedLinear, adaptedLinearBackward } from '@qdylora/lora-dynamic';
import {
  dequantizeBlockwise,
  matmulNf4,
  matmulNf4InputGradient,
  quantizedAttributes,
  quantizedInputs,
  quantizeNf4,
  tileMatrix,
} from '@qdylora/quant';
import {
  arbitrarySeed,
  arbitrarySize,
  checkKernel,
  EPSILON,
  magnitudeBound,
  normalView,
} from '@qdylora/testing';
import { everyLevel } from './every-level.ts';

const levels = await everyLevel();
const backends = (await everyLevel([2], { batchInvariant: true })).map(({ backends: [backend] }) => backend!);

test(
  'products and decodes of a tiled matrix have the bits of the row-major one, where one kernel serves ' +
    'any number of rows',
  () => {
    const arbitrary = fc.record({
      tokens: arbitrarySize(40),
      bands: fc.integer({ min: 1, max: 3 }),
      runs: fc.integer({ min: 1, max: 18 }),
      r: arbitrarySize(9),
      seed: arbitrarySeed,
      doubleQuantization: fc.boolean(),
      computeDtype: fc.constantFrom<'f32' | 'bf16'>('f32', 'bf16'),
    });
    fc.assert(
      fc.property(arbitrary, ({ tokens, bands, runs, r, seed, doubleQuantization, computeDtype }) => {
        const [rows, cols] = [32 * bands, 64 * runs];
        const matrix = quantizeNf4(
          { data: hostData(normalView(seed, 'w', [rows, cols])), shape: [rows, cols] },
          { doubleQuantization },
        );
        const tiled = tileMatrix(matrix);
        const x = normalView(seed, 'x', [tokens, cols]);
        const dy = normalView(seed, 'dy', [tokens, rows]);
        const a = normalView(seed, 'a', [r, cols]);
        const b = normalView(seed, 'b', [r, rows]);
        const u = normalView(seed, 'u', [tokens, r]);
        const results = (one: typeof matrix, backend: (typeof backends)[number]) => {
          const weight = quantizedInputs(one);
          const attributes = {
            ...quantizedAttributes(one),
            computeDtype,
            accumulate: false,
            scale: 0.5,
            trainFrom: 0,
            wantsDx: true,
          };
          return [
            runOp(backend, dequantizeBlockwise, weight, attributes).values,
            runOp(backend, matmulNf4, { x, ...weight }, attributes).y,
            runOp(backend, matmulNf4InputGradient, { dy, ...weight }, attributes).dx,
            runOp(backend, adaptedLinear, { x, a, b, ...weight } as never, attributes).y!,
            runOp(backend, adaptedLinearBackward, { dy, x, u, a, b, ...weight } as never, attributes).dx!,
          ].map((view) => ({ dtype: view.dtype, shape: view.shape, data: hostData(view).slice() }));
        };
        for (const backend of backends)
          backend.memory.scoped(() => expect(results(tiled, backend)).toEqual(results(matrix, backend)));
      }),
      { numRuns: 8 },
    );
  },
);

const arbitraryFewRows = fc.record({
  tokens: fc.oneof(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 5, max: 36 })),
  bands: fc.integer({ min: 1, max: 2 }),
  runs: fc.integer({ min: 1, max: 12 }),
  seed: arbitrarySeed,
});
const packed = (seed: number, rows: number, cols: number): ReturnType<typeof tileMatrix> =>
  tileMatrix(quantizeNf4({ data: hostData(normalView(seed, 'w', [rows, cols])), shape: [rows, cols] }));

/**
 * A level may count a run of 64 numbers of few rows in units of 2^-15 of its largest: half a unit more for
 * each of them.
 */
test('among few rows, a number far above its neighbours costs them no more than 2^-16 of it', async () => {
  await fc.assert(
    fc.asyncProperty(
      arbitraryFewRows,
      fc.array(fc.record({ at: fc.nat(), size: fc.integer({ min: -20, max: 60 }) }), { maxLength: 6 }),
      async ({ tokens, bands, runs, seed }, outliers) => {
        const [rows, cols] = [32 * bands, 64 * runs];
        const matrix = packed(seed, rows, cols);
        const x = normalView(seed, 'x', [tokens, cols]);
        const largest = f32View(x.shape, new Float32Array(hostData(x).length));
        for (const { at, size } of outliers) hostData(x)[at % hostData(x).length] = 2 ** size;
        for (let run = 0; run < hostData(x).length; run += 64)
          hostData(largest).fill(
            hostData(x)
              .subarray(run, run + 64)
              .reduce((most, value) => Math.max(most, Math.abs(value)), 0),
            run,
            run + 64,
          );
        const attributes = { ...quantizedAttributes(matrix), computeDtype: 'bf16' as const };
        const weight = quantizedInputs(matrix);
        const sums = magnitudeBound(
          matmulNf4,
          { inputs: { x, ...weight }, attributes },
          2 ** -7 / EPSILON + cols + 8,
        );
        const units = magnitudeBound(
          matmulNf4,
          { inputs: { x: largest, ...weight }, attributes },
          2 ** -16 / EPSILON,
        );
        await checkKernel(matmulNf4, levels, {
          inputs: { x, ...weight },
          attributes,
          bound: (name, index, want) => sums(name, index, want) + units(name, index, want),
        });
      },
    ),
    { numRuns: 30 },
  );
});

test(
  'among few rows, one that holds no number or an infinite one yields none, and the others what they do ' +
    'without it',
  () => {
    fc.assert(
      fc.property(
        arbitraryFewRows,
        fc.nat(),
        fc.constantFrom(NaN, Infinity, -Infinity),
        ({ tokens, bands, runs, seed }, at, value) => {
          const [rows, cols] = [32 * bands, 64 * runs];
          const matrix = packed(seed, rows, cols);
          const bad = at % tokens;
          const attributes = { ...quantizedAttributes(matrix), computeDtype: 'bf16' as const };
          for (const {
            backends: [backend],
          } of levels) {
            backend!.memory.scoped(() => {
              const product = (x: ArrayView<'f32'>): Float32Array =>
                (
                  hostData(
                    runOp(backend!, matmulNf4, { x, ...quantizedInputs(matrix) }, attributes).y,
                  ) as Float32Array
                ).slice();
              const x = normalView(seed, 'x', [tokens, cols]);
              const before = product(x);
              const first = bad * rows;
              const last = first + rows;
              hostData(x)[bad * cols + (at % cols)] = value;
              const after = product(x);
              expect(after.subarray(first, last).some(Number.isFinite)).toBe(false);
              expect([...after.subarray(0, first), ...after.subarray(last)]).toEqual([
                ...before.subarray(0, first),
                ...before.subarray(last),
              ]);
            });
          }
        },
      ),
      { numRuns: 20 },
    );
  },
);
