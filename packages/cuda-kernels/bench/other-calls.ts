import type { Backend } from '@qdylora/contract';
import { dequantizeGgml, quantizeBlockwise, quantizeScales } from '@qdylora/quant';
import {
  activation,
  activationBackward,
  adamw8bitStep,
  adamwStep,
  appendRows,
  dropout,
  embedding,
  embeddingBackward,
  joinColumns,
  layerNorm,
  layerNormBackward,
  lion8bitStep,
  lionStep,
  quantizeRows,
  softCap,
  softCapBackward,
  splitColumns,
  stateBlocks,
  sumOfSquares,
} from '@qdylora/tensor';
import { BLOCK_SIZE, callOf, placed, type BenchCall } from './bench-call.ts';

const HIDDEN = 2048;
/** Q4_K: 256 weights in 144 bytes. */
const GGML = { type: 'Q4_K', length: 256, bytes: 144 };

/**
 * Calls of the other ops that are bound by the bandwidth of memory: of some families of models, of optimizers
 * and of quantization. `rows`: of the arrays, of 2048 columns each.
 */
export const otherCalls = (backend: Backend, rows: number): BenchCall[] => [
  ...elementCalls(backend, rows),
  ...rowCalls(backend, rows),
  ...optimizerCalls(backend, rows),
  ...quantizationCalls(backend, rows),
];

function elementCalls(backend: Backend, rows: number): BenchCall[] {
  const [x, dy] = [1, 2].map(() => placed(backend, 'f32', [rows, HIDDEN]));
  const counter = placed(backend, 'i32', [1]);
  const masks = { probability: 0.1, key: 1 };
  return [
    callOf(backend, activation, { inputs: { x }, attributes: { kind: 'gelu' } }),
    callOf(backend, activationBackward, { inputs: { x, dy }, attributes: { kind: 'gelu' } }),
    callOf(backend, softCap, { inputs: { x }, attributes: { cap: 30 } }),
    callOf(backend, softCapBackward, { inputs: { y: x, dy }, attributes: { cap: 30 } }),
    callOf(backend, dropout, { inputs: { x, counter }, attributes: masks }),
    callOf(backend, dropout, {
      inputs: { x: placed(backend, 'bf16', [rows, HIDDEN]), counter },
      attributes: masks,
    }),
  ];
}

function rowCalls(backend: Backend, rows: number): BenchCall[] {
  const [x, dy] = [1, 2].map(() => placed(backend, 'f32', [rows, HIDDEN]));
  const [weight, bias] = [1, 2].map(() => placed(backend, 'f32', [HIDDEN]));
  const [mean, inverseDeviation] = [1, 2].map(() => placed(backend, 'f32', [rows]));
  const ids = backend.memory.allocate('i32', [rows]);
  backend.memory.write(
    ids,
    Int32Array.from({ length: rows }, (_, i) => i),
  );
  const [first, second] = [1, 2].map(() => placed(backend, 'f32', [rows, HIDDEN / 2]));
  const split = { groups: 1, widths: [HIDDEN / 2, HIDDEN / 2] } as const;
  const segments = backend.memory.allocate('i32', [2]);
  backend.memory.write(segments, [0, rows]);
  return [
    callOf(backend, layerNorm, { inputs: { x, weight, bias }, attributes: { epsilon: 1e-5 } }),
    callOf(backend, layerNormBackward, {
      inputs: { x, weight, mean, inverseDeviation, dy },
      attributes: { accumulate: false },
    }),
    callOf(backend, splitColumns, { inputs: { x }, attributes: split }),
    callOf(backend, joinColumns, {
      inputs: { first, second, third: undefined },
      attributes: { ...split, tokens: rows },
    }),
    callOf(backend, sumOfSquares, { inputs: { x }, attributes: {} }),
    // every row of y is replaced, and none is read
    callOf(backend, appendRows, {
      inputs: { x, segments },
      attributes: { rows },
      outputs: { y: dy },
      bytes: 2 * 4 * rows * HIDDEN,
    }),
    // a table of as many rows as there are tokens: each of them is read once
    callOf(backend, embedding, {
      inputs: { weight: placed(backend, 'bf16', [rows, HIDDEN]), ids },
      attributes: {},
    }),
    callOf(backend, embeddingBackward, {
      inputs: { ids, dy },
      attributes: { rows },
      outputs: { dWeight: placed(backend, 'f32', [rows, HIDDEN]) },
    }),
  ];
}

function optimizerCalls(backend: Backend, rows: number): BenchCall[] {
  const [gradient, parameter, m, v] = [1, 2, 3, 4].map(() => placed(backend, 'f32', [rows, HIDDEN]));
  const [mCodes, vCodes] = [1, 2].map(() => placed(backend, 'u8', [rows, HIDDEN]));
  const [mAbsmax, vAbsmax] = [1, 2].map(() => placed(backend, 'f32', [rows, stateBlocks(HIDDEN)]));
  const [mMap, vMap] = [1, 2].map(() => placed(backend, 'f32', [256]));
  const rates = placed(backend, 'f32', [4]);
  const lionRates = placed(backend, 'f32', [3]);
  const betas = { beta1: 0.9, beta2: 0.999 };
  return [
    callOf(backend, adamwStep, {
      inputs: { gradient, rates },
      attributes: { ...betas, epsilon: 1e-8 },
      outputs: { parameter, m, v },
    }),
    callOf(backend, adamw8bitStep, {
      inputs: { gradient, rates, mMap, vMap },
      attributes: betas,
      outputs: { parameter, mCodes, mAbsmax, vCodes, vAbsmax },
    }),
    callOf(backend, lionStep, {
      inputs: { gradient, rates: lionRates },
      attributes: betas,
      outputs: { parameter, m },
    }),
    callOf(backend, lion8bitStep, {
      inputs: { gradient, rates: lionRates, mMap },
      attributes: betas,
      outputs: { parameter, mCodes, mAbsmax },
    }),
  ];
}

function quantizationCalls(backend: Backend, rows: number): BenchCall[] {
  const count = rows * HIDDEN;
  return [
    callOf(backend, quantizeBlockwise, {
      inputs: { values: placed(backend, 'bf16', [count]) },
      attributes: { kind: 'nf4', blockSize: BLOCK_SIZE },
    }),
    callOf(backend, quantizeScales, {
      inputs: { absmax: placed(backend, 'f32', [count / BLOCK_SIZE]) },
      attributes: {},
    }),
    callOf(backend, quantizeRows, {
      inputs: { weight: placed(backend, 'bf16', [rows, HIDDEN]) },
      attributes: {},
    }),
    callOf(backend, dequantizeGgml, {
      inputs: { blocks: placed(backend, 'u8', [(count / GGML.length) * GGML.bytes]) },
      attributes: { type: GGML.type, shape: [rows, HIDDEN] },
    }),
  ];
}
