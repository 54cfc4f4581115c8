import { hostData, type FloatDType } from '@qdylora/contract';
import {
  BLOCK_SIZES,
  dequantizeBlockwise,
  quantize4bit,
  quantizedAttributes,
  quantizedInputs,
  QUANTIZATION_KINDS,
  tileMatrix,
  type QuantizedMatrix,
} from '@qdylora/quant';
import fc from 'fast-check';
import { arbitrarySeed, arbitrarySize, normalView } from '../arbitraries.ts';
import { conformanceCase, forHalves } from '../conformance-case.ts';
import type { Bound } from '../tolerance.ts';

/** A level times a scale, rounded as in the reference. */
const exact: Bound = () => 0;

const callOf = (matrix: QuantizedMatrix, valuesDtype: FloatDType) => ({
  inputs: quantizedInputs(matrix),
  attributes: { ...quantizedAttributes(matrix), valuesDtype },
  bound: exact,
});

/** Every number of values that is left after runs of eight, and matrices in tiles. */
function* tails(valuesDtype: FloatDType) {
  for (const doubleQuantization of [false, true]) {
    for (let count = 1; count <= 9; count++)
      yield callOf(quantizedNormal([1, count], { blockSize: 64, doubleQuantization }), valuesDtype);
    const matrix = quantizedNormal([32, 128], { blockSize: 64, doubleQuantization });
    yield callOf(tileMatrix(matrix), valuesDtype);
  }
}

const quantizedNormal = (
  shape: readonly [number, number],
  options: { readonly blockSize: number; readonly doubleQuantization: boolean },
): QuantizedMatrix =>
  quantize4bit('nf4', { data: hostData(normalView(3, 'w', shape, 0.02)), shape }, options);

export const dequantizeBlockwiseCases = forHalves(({ half, computeDtypes }) => [
  conformanceCase(dequantizeBlockwise, {
    title: 'bit for bit, for every kind, block size and tail, in float32 and two bytes',
    parameters: fc.record({
      rows: arbitrarySize(40).filter((n) => n > 0),
      cols: arbitrarySize(300).filter((n) => n > 0),
      seed: arbitrarySeed,
      kind: fc.constantFrom(...QUANTIZATION_KINDS),
      blockSize: fc.constantFrom(...BLOCK_SIZES),
      doubleQuantization: fc.boolean(),
      valuesDtype: fc.constantFrom(...computeDtypes),
    }),
    numRuns: 40,
    call: ({ rows, cols, seed, kind, blockSize, doubleQuantization, valuesDtype }) => {
      const data = hostData(normalView(seed, 'w', [rows, cols], 0.02));
      return callOf(
        quantize4bit(kind, { data, shape: [rows, cols] }, { blockSize, doubleQuantization }),
        valuesDtype,
      );
    },
    *edges() {
      for (const valuesDtype of computeDtypes) yield* tails(valuesDtype);
      if (half === 'f16') return;
      const shape = [1025, 611] as const; // past the caches: 1.25 MB of bf16, and a last block of 35 values
      const data = hostData(normalView(7, 'w', shape, 0.02));
      for (const valuesDtype of computeDtypes) {
        for (const doubleQuantization of [false, true])
          yield callOf(
            quantize4bit('nf4', { data, shape }, { blockSize: 64, doubleQuantization }),
            valuesDtype,
          );
      }
    },
  }),
]);
