import { runOp, type Arrays, type ArrayView, type Backend } from '@qdylora/contract';
import {
  adaptedLinear,
  adaptedLinearBackward,
  adaptedLinearGroup,
  adaptedLinearGroupBackward,
  withLayerNumber,
} from '@qdylora/lora-dynamic';
import { matmulNf4, matmulNf4InputGradient } from '@qdylora/quant';
import {
  causalAttention,
  causalAttentionBackward,
  linear,
  linearArgmax,
  linearCrossEntropy,
  linearCrossEntropyTopK,
  linearDistillation,
  linearInputGradient,
  linearWeightGradient,
} from '@qdylora/tensor';
import { BLOCK_SIZE, callOf, packedInputs, placed, type BenchCall } from './bench-call.ts';

/** A matrix of the MLP of Llama 2 7B, its heads, and its vocabulary. */
const [COLS, ROWS] = [4096, 11008];
const [HEADS, HEAD_DIM] = [32, 128];
const VOCABULARY = 32000;
/** Classes of a token that a distilled pass learns from, by default. */
const TOP_K = 64;
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
  if (tokens === 1) return [...forward, argmaxCall(backend)];
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
    ...groupCalls(backend, tokens),
    ...attentionCalls(backend, tokens),
    ...headCalls(backend, tokens),
  ];
}

/** Arrays of q, k and v, with the names that they have in a group. */
const ofEachLayer = (arraysOf: () => Readonly<Record<string, ArrayView | undefined>>): Arrays =>
  Object.assign({}, ...[0, 1, 2].map((i) => withLayerNumber(arraysOf(), i))) as Arrays;

/** The projections of attention of a 4-bit base with adapters: q, k and v. */
function groupCalls(backend: Backend, tokens: number): BenchCall[] {
  const layer = { rows: COLS, blockSize: BLOCK_SIZE, nestedOffset: 0, tiled: false, scale: 1 };
  const attributes = { layers: [layer, layer, layer], cols: COLS, computeDtype: 'bf16' } as const;
  const factor = (): ArrayView => placed(backend, 'f32', [RANK, COLS]);
  const inputs: Arrays = {
    x: placed(backend, 'bf16', [tokens, COLS]),
    ...ofEachLayer(() => ({ ...packedInputs(backend, COLS * COLS), a: factor(), b: factor() })),
  };
  const ofBackward = ofEachLayer(() => ({
    dy: placed(backend, 'bf16', [tokens, COLS]),
    u: placed(backend, 'f32', [tokens, RANK]),
  }));
  return [
    callOf(backend, adaptedLinearGroup, { inputs, attributes: { ...attributes, outDtype: 'bf16' } }),
    callOf(backend, adaptedLinearGroupBackward, {
      inputs: { ...inputs, ...ofBackward },
      attributes: { ...attributes, accumulate: false, trainFrom: 0, wantsDx: true },
      outputs: ofEachLayer(() => ({ da: factor(), db: factor() })),
    }),
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

/** Head and loss of a frozen base with the gradient of its input, alone and in a pair that distils. */
function headCalls(backend: Backend, tokens: number): BenchCall[] {
  const inputs = {
    x: placed(backend, 'f32', [tokens, COLS]),
    weight: placed(backend, 'bf16', [VOCABULARY, COLS]),
    targets: placed(backend, 'i32', [tokens]),
    tokenWeights: undefined,
  };
  const attributes = { computeDtype: 'bf16', lossScale: 1 / tokens, gradient: true } as const;
  const topAttributes = { ...attributes, topK: TOP_K };
  // the top classes of a token are different ones
  const { topIds, topLogProbabilities, tailMass } = runOp(
    backend,
    linearCrossEntropyTopK,
    inputs,
    topAttributes,
  );
  const soft = { topIds, topLogProbabilities, tailMass };
  return [
    callOf(backend, linearCrossEntropy, { inputs, attributes, outputs: { dWeight: undefined } }),
    callOf(backend, linearCrossEntropyTopK, { inputs, attributes: topAttributes }),
    callOf(backend, linearDistillation, {
      inputs: { ...inputs, ...soft },
      attributes: { ...attributes, distillation: 0.5 },
    }),
  ];
}

/** The head of a step of decoding: the likeliest token. */
const argmaxCall = (backend: Backend): BenchCall =>
  callOf(backend, linearArgmax, {
    inputs: {
      x: placed(backend, 'f32', [1, COLS]),
      weight: placed(backend, 'bf16', [VOCABULARY, COLS]),
      codes: undefined,
      scales: undefined,
    },
    attributes: { computeDtype: 'bf16' },
  });
