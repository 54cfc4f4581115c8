import type { ArrayView, Backend } from '@qdylora/contract';
import { adaptedLinear, adaptedLinearBackward } from '@qdylora/lora-dynamic';
import { matmulNf4, matmulNf4InputGradient } from '@qdylora/quant';
import {
  causalAttention,
  causalAttentionBackward,
  linear,
  linearCrossEntropy,
  linearInputGradient,
  linearWeightGradient,
} from '@qdylora/tensor';
import { BLOCK_SIZE, callOf, packedInputs, placed, type BenchCall } from './bench-call.ts';

/** A matrix of the MLP of Llama 2 7B, its heads, and its vocabulary. */
const [COLS, ROWS] = [4096, 11008];
const [HEADS, HEAD_DIM] = [32, 128];
const VOCABULARY = 32000;
/** The largest rank of a run by default. */
const RANK = 64;

/**
 * Calls of the ops that are made of products, in bfloat16, of one sequence of `tokens` tokens: a step of a
 * model of 7B. One token: a step of decoding, without the ops of training.
 */
export function productCalls(backend: Backend, tokens: number): BenchCall[] {
  const x = placed(backend, 'bf16', [tokens, COLS]);
  const products = { computeDtype: 'bf16', outDtype: 'bf16' } as const;
  const quantized = { rows: ROWS, cols: COLS, blockSize: BLOCK_SIZE, nestedOffset: 0, tiled: false };
  const codes = packedInputs(backend, ROWS * COLS);
  const a = placed(backend, 'f32', [RANK, COLS]);
  const b = placed(backend, 'f32', [RANK, ROWS]);
  const weight = placed(backend, 'bf16', [ROWS, COLS]);
  const adapted = { ...quantized, ...products, scale: 1 };
  const forward = [
    callOf(backend, linear, { inputs: { x, weight }, attributes: products }),
    callOf(backend, matmulNf4, { inputs: { x, ...codes }, attributes: { ...quantized, ...products } }),
    callOf(backend, adaptedLinear, { inputs: { x, a, b, ...codes }, attributes: adapted }),
  ];
  if (tokens === 1) return forward;
  const dy = placed(backend, 'bf16', [tokens, ROWS]);
  const u = placed(backend, 'f32', [tokens, RANK]);
  const backward = { ...products, accumulate: false };
  return [
    ...forward,
    callOf(backend, linearInputGradient, { inputs: { dy, weight }, attributes: backward }),
    callOf(backend, linearWeightGradient, {
      inputs: { x, dy },
      attributes: products,
      outputs: { dWeight: placed(backend, 'f32', [ROWS, COLS]) },
    }),
    callOf(backend, matmulNf4InputGradient, {
      inputs: { dy, ...codes },
      attributes: { ...quantized, ...backward },
    }),
    callOf(backend, adaptedLinearBackward, {
      inputs: { dy, x, u, a, b, ...codes },
      attributes: { ...adapted, accumulate: false, trainFrom: 0, wantsDx: true, dxDtype: 'bf16' },
      outputs: { da: placed(backend, 'f32', [RANK, COLS]), db: placed(backend, 'f32', [RANK, ROWS]) },
    }),
    ...attentionCalls(backend, tokens),
    headCall(backend, tokens),
  ];
}

function attentionCalls(backend: Backend, tokens: number): BenchCall[] {
  const rows = (): ArrayView<'bf16'> => placed(backend, 'bf16', [tokens, HEADS * HEAD_DIM]);
  const segments = backend.memory.allocate('i32', [2]);
  backend.memory.write(segments, [0, tokens]);
  const inputs = { q: rows(), k: rows(), v: rows(), querySegments: segments, keySegments: segments };
  const attributes = {
    heads: HEADS,
    kvHeads: HEADS,
    headDim: HEAD_DIM,
    scale: HEAD_DIM ** -0.5,
    softCap: 0,
    window: 0,
    computeDtype: 'bf16',
  } as const;
  const logSumExp = placed(backend, 'f32', [HEADS, tokens]);
  return [
    callOf(backend, causalAttention, { inputs, attributes }),
    callOf(backend, causalAttentionBackward, {
      inputs: { ...inputs, y: rows(), logSumExp, dy: rows() },
      attributes,
    }),
  ];
}

/** The head of a frozen base and its loss, with the gradient of its input. */
const headCall = (backend: Backend, tokens: number): BenchCall =>
  callOf(backend, linearCrossEntropy, {
    inputs: {
      x: placed(backend, 'f32', [tokens, COLS]),
      weight: placed(backend, 'bf16', [VOCABULARY, COLS]),
      targets: placed(backend, 'i32', [tokens]),
    },
    attributes: { computeDtype: 'bf16', lossScale: 1 / tokens, gradient: true },
    outputs: { dWeight: undefined },
  });
