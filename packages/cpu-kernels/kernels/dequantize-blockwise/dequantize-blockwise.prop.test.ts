import { hostData } from '@qdylora/contract';
import fc from 'fast-check';
import { test } from 'vitest';
import {
  BLOCK_SIZES,
  dequantizeBlockwise,
  quantize4bit,
  quantizedAttributes,
  quantizedInputs,
  QUANTIZATION_KINDS,
} from '@qdylora/quant';
import { arbitrarySeed, arbitrarySize, checkKernel, normalView } from '@qdylora/testing';
import { everyLevel } from '../../test/every-level.ts';

const levels = await everyLevel();

test(
  "weights are the reference's bits, plain and doubly quantized, in float32 and bfloat16, for every " +
    'kind, block size and tail',
  () => {
    const cases = fc.record({
      rows: arbitrarySize(40),
      cols: arbitrarySize(300),
      seed: arbitrarySeed,
      kind: fc.constantFrom(...QUANTIZATION_KINDS),
      blockSize: fc.constantFrom(...BLOCK_SIZES),
      doubleQuantization: fc.boolean(),
      valuesDtype: fc.constantFrom('f32' as const, 'bf16' as const),
    });
    fc.assert(
      fc.property(cases, ({ rows, cols, seed, kind, blockSize, doubleQuantization, valuesDtype }) => {
        fc.pre(rows > 0 && cols > 0);
        const matrix = quantize4bit(
          kind,
          { data: hostData(normalView(seed, 'w', [rows, cols], 0.02)), shape: [rows, cols] },
          { blockSize, doubleQuantization },
        );
        checkKernel(dequantizeBlockwise, levels, {
          inputs: quantizedInputs(matrix),
          attributes: { ...quantizedAttributes(matrix), valuesDtype },
          bound: () => 0,
        });
      }),
      { numRuns: 40 },
    );
  },
);

test('so are those of an array that is written past the caches, its tail included', () => {
  for (const valuesDtype of ['f32', 'bf16'] as const) {
    for (const doubleQuantization of [false, true]) {
      const [rows, cols] = [1025, 611]; // 1.25 MB of bf16, and a last block of 35 values
      const matrix = quantize4bit(
        'nf4',
        { data: hostData(normalView(7, 'w', [rows, cols], 0.02)), shape: [rows, cols] },
        { blockSize: 64, doubleQuantization },
      );
      checkKernel(dequantizeBlockwise, levels, {
        inputs: quantizedInputs(matrix),
        attributes: { ...quantizedAttributes(matrix), valuesDtype },
        bound: () => 0,
      });
    }
  }
});
