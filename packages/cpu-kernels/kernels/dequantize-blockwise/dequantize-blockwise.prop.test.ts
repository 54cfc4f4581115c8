import fc from 'fast-check';
import { test } from 'vitest';
import { BLOCK_SIZES, dequantizeBlockwise, quantize4bit, quantizedAttributes, quantizedInputs, QUANTIZATION_KINDS } from '@qdylora/quant';
import { arbitrarySeed, arbitrarySize, checkKernel, normalView } from '@qdylora/testing';
import { everyLevel } from '../../test/every-level.ts';

const levels = await everyLevel();

test('weights are the reference\'s bits, plain and doubly quantized, in float32 and bfloat16, for every kind, block size and tail', () => {
  const cases = fc.record({ rows: arbitrarySize(40), cols: arbitrarySize(300), seed: arbitrarySeed, kind: fc.constantFrom(...QUANTIZATION_KINDS), blockSize: fc.constantFrom(...BLOCK_SIZES), doubleQuantization: fc.boolean(), valuesDtype: fc.constantFrom('f32' as const, 'bf16' as const) });
  fc.assert(fc.property(cases, ({ rows, cols, seed, kind, blockSize, doubleQuantization, valuesDtype }) => {
    fc.pre(rows > 0 && cols > 0);
    const matrix = quantize4bit(kind, { data: normalView(seed, 'w', [rows, cols], 0.02).data, shape: [rows, cols] }, { blockSize, doubleQuantization });
    checkKernel(dequantizeBlockwise, levels, { inputs: quantizedInputs(matrix), attributes: { ...quantizedAttributes(matrix), valuesDtype }, bound: () => 0 });
  }), { numRuns: 40 });
});
