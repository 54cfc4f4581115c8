import { hostData, i32View, runOp, viewOf, type ArrayView, type Backend } from '@qdylora/contract';
import {
  activation,
  activationBackward,
  activationGate,
  activationGateBackward,
  add,
  dropout,
  embedding,
  layerNorm,
  layerNormBackward,
  residualNorm,
  rmsNorm,
  rmsNormBackward,
  softCap,
} from '@qdylora/tensor';
import { normalBfloat16View, normalView } from '@qdylora/testing';
import { describe, expect, test } from 'vitest';
import { everyLevel } from './every-level.ts';

const levels = await everyLevel([2]);

/**
 * Rows of whole cache lines, in all more than the MiB from which a result goes past the caches, in bf16 too.
 */
const [ROWS, COLUMNS] = [530, 1024];
const SHAPE = [ROWS, COLUMNS] as const;
const x = normalView(1, 'x', SHAPE);
const other = normalView(2, 'x', SHAPE);
const weight = normalView(3, 'w', [COLUMNS]);
const ofRow = normalView(4, 'r', [ROWS]);
const halfX = normalBfloat16View(1, 'x', SHAPE);
const halfOther = normalBfloat16View(2, 'x', SHAPE);
const ids = viewOf(
  'i32',
  [ROWS],
  Int32Array.from({ length: ROWS }, (_, i) => (i * 37) % 100),
);

/** Each op with its results as they are handed in. */
type Results = Record<string, ArrayView>;
const RUNS: Record<
  string,
  { readonly results: Record<string, 'f32' | 'bf16'>; run(backend: Backend, results: Results): unknown }
> = {
  'rms-norm': {
    results: { y: 'f32' },
    run: (backend, results) =>
      runOp(backend, rmsNorm, { x, weight }, { epsilon: 1e-5, weightOffset: 0 }, results),
  },
  'rms-norm to bf16': {
    results: { y: 'bf16' },
    run: (backend, results) =>
      runOp(backend, rmsNorm, { x, weight }, { epsilon: 1e-5, weightOffset: 1, outDtype: 'bf16' }, results),
  },
  'residual-norm': {
    results: { sum: 'f32', y: 'f32' },
    run: (backend, results) =>
      runOp(backend, residualNorm, { a: x, b: other, weight }, { epsilon: 1e-5, weightOffset: 0 }, results),
  },
  'rms-norm-backward': {
    results: { dx: 'f32' },
    run: (backend, results) =>
      runOp(
        backend,
        rmsNormBackward,
        { x, weight, inverseRms: ofRow, dy: other },
        { epsilon: 1e-5, weightOffset: 0, accumulate: false },
        results,
      ),
  },
  'layer-norm': {
    results: { y: 'f32' },
    run: (backend, results) =>
      runOp(backend, layerNorm, { x, weight, bias: weight }, { epsilon: 1e-5 }, results),
  },
  'layer-norm-backward': {
    results: { dx: 'f32' },
    run: (backend, results) =>
      runOp(
        backend,
        layerNormBackward,
        { x, weight, mean: ofRow, inverseDeviation: ofRow, dy: other },
        { accumulate: false },
        results,
      ),
  },
  activation: {
    results: { y: 'f32' },
    run: (backend, results) => runOp(backend, activation, { x }, { kind: 'gelu' }, results),
  },
  'activation-backward': {
    results: { dx: 'f32' },
    run: (backend, results) =>
      runOp(backend, activationBackward, { x, dy: other }, { kind: 'gelu_tanh' }, results),
  },
  'activation-gate': {
    results: { y: 'f32' },
    run: (backend, results) =>
      runOp(backend, activationGate, { gate: x, up: other }, { kind: 'silu' }, results),
  },
  'activation-gate in bf16': {
    results: { y: 'bf16' },
    run: (backend, results) =>
      runOp(backend, activationGate, { gate: halfX, up: halfOther }, { kind: 'silu' }, results),
  },
  'activation-gate-backward': {
    results: { dGate: 'f32', dUp: 'f32' },
    run: (backend, results) =>
      runOp(backend, activationGateBackward, { gate: x, up: other, dy: other }, { kind: 'silu' }, results),
  },
  add: {
    results: { y: 'f32' },
    run: (backend, results) => runOp(backend, add, { a: x, b: other }, {}, results),
  },
  dropout: {
    results: { y: 'f32' },
    run: (backend, results) =>
      runOp(backend, dropout, { x, counter: i32View([1], [3]) }, { probability: 0.1, key: 7 }, results),
  },
  'dropout in bf16': {
    results: { y: 'bf16' },
    run: (backend, results) =>
      runOp(
        backend,
        dropout,
        { x: halfX, counter: i32View([1], [3]) },
        { probability: 0.1, key: 7 },
        results,
      ),
  },
  embedding: {
    results: { y: 'f32' },
    run: (backend, results) =>
      runOp(backend, embedding, { weight: normalView(5, 'table', [100, COLUMNS]), ids }, {}, results),
  },
  'soft-cap': {
    results: { y: 'f32' },
    run: (backend, results) => runOp(backend, softCap, { x }, { cap: 3 }, results),
  },
};

const bytesOf = ({ buffer, byteOffset, byteLength }: Float32Array | Uint16Array): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength);

/** Room for results whose first element stands `offset` elements behind a cache line. */
function room(backend: Backend, results: Record<string, 'f32' | 'bf16'>, offset: number): Results {
  return Object.fromEntries(
    Object.entries(results).map(([name, dtype]) => {
      const all = backend.memory.allocate(dtype, [ROWS * COLUMNS + 64]);
      return [name, viewOf(dtype, SHAPE, hostData(all).subarray(offset, offset + ROWS * COLUMNS) as never)];
    }),
  );
}

describe.each(levels)('at $label', ({ backends: [backend] }) => {
  test.each(Object.entries(RUNS))(
    '%s has the same bits whether its results go past the caches or, unaligned, cannot',
    (_, { results, run }) => {
      backend!.memory.scoped(() => {
        const [past, kept] = [0, 1].map((offset) => room(backend!, results, offset)) as [Results, Results];
        run(backend!, past);
        run(backend!, kept);
        for (const name of Object.keys(results)) {
          const [got, want] = [hostData(past[name]), hostData(kept[name])] as [
            Float32Array | Uint16Array,
            Float32Array | Uint16Array,
          ];
          expect(got.some((value) => value !== 0)).toBe(true);
          expect(Buffer.compare(bytesOf(got), bytesOf(want))).toBe(0);
        }
      });
    },
  );
});
