import type { Backend } from '@qdylora/contract';
import { dequantizeBlockwise } from '@qdylora/quant';
import {
  activationGate,
  activationGateBackward,
  add,
  addInto,
  copy,
  fill,
  residualNorm,
  rmsNorm,
  rmsNormBackward,
  rope,
  ropeTable,
  scaleBy,
} from '@qdylora/tensor';
import { BLOCK_SIZE, callOf, packedInputs, placed, type BenchCall } from './bench-call.ts';

const HIDDEN = 2048;
const HEAD_DIM = 128;

/**
 * Calls of the ops that are bound by the bandwidth of memory, in both float types where they have both.
 * `tokens`: rows of the arrays, of 2048 columns each.
 */
export function benchCalls(backend: Backend, tokens: number): BenchCall[] {
  const matrix = [tokens, HIDDEN];
  const norm = { epsilon: 1e-5, weightOffset: 0 };
  const weight = placed(backend, 'f32', [HIDDEN]);
  const [cos, sin] = [1, 2].map(() => placed(backend, 'f32', [tokens, HEAD_DIM / 2]));
  const inverseRms = placed(backend, 'f32', [tokens]);
  const x = placed(backend, 'f32', matrix);
  const factor = placed(backend, 'f32', [1]);
  const ofBoth = (['f32', 'bf16'] as const).flatMap((dtype) => {
    const [a, b, dy] = [1, 2, 3].map(() => placed(backend, dtype, matrix));
    const outDtype = dtype === 'bf16' ? { outDtype: dtype } : {};
    return [
      callOf(backend, copy, { inputs: { x: a }, attributes: {} }),
      callOf(backend, addInto, { inputs: { x: a }, attributes: {}, outputs: { sum: dy } }),
      callOf(backend, rmsNorm, { inputs: { x, weight }, attributes: { ...norm, ...outDtype } }),
      callOf(backend, rmsNormBackward, {
        inputs: { x, weight, inverseRms, dy },
        attributes: { ...norm, accumulate: false },
      }),
      callOf(backend, activationGate, { inputs: { gate: a, up: b }, attributes: { kind: 'silu' } }),
      callOf(backend, activationGateBackward, {
        inputs: { gate: a, up: b, dy },
        attributes: { kind: 'silu' },
      }),
      callOf(backend, rope, {
        inputs: { x: a, cos, sin },
        attributes: { headDim: HEAD_DIM, inverse: false },
      }),
      callOf(backend, dequantizeBlockwise, {
        inputs: packedInputs(backend, tokens * HIDDEN),
        attributes: {
          rows: tokens,
          cols: HIDDEN,
          blockSize: BLOCK_SIZE,
          nestedOffset: 0,
          tiled: false,
          valuesDtype: dtype,
        },
      }),
    ];
  });
  return [
    ...ofBoth,
    callOf(backend, add, { inputs: { a: x, b: placed(backend, 'f32', matrix) }, attributes: {} }),
    callOf(backend, fill, { inputs: {}, attributes: { value: 1, shape: matrix } }),
    callOf(backend, scaleBy, { inputs: { x, factor }, attributes: {} }),
    callOf(backend, residualNorm, {
      inputs: { a: x, b: placed(backend, 'f32', matrix), weight },
      attributes: norm,
    }),
    callOf(backend, ropeTable, {
      inputs: {
        positions: placed(backend, 'i32', [tokens]),
        inverseFrequencies: placed(backend, 'f32', [HEAD_DIM / 2]),
      },
      attributes: { scale: 1 },
    }),
  ];
}
