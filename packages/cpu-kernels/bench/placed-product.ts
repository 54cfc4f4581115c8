import {
  hostData,
  bfloat16Array,
  rowsOf,
  runOp,
  viewOf,
  type ArrayView,
  type FloatView,
} from '@qdylora/contract';
import { adaptedLinearGroup, adaptedLinearGroupBackward, withLayerNumber } from '@qdylora/lora-dynamic';
import {
  matmulNf4,
  matmulNf4InputGradient,
  NESTED_BLOCK_SIZE,
  quantizedAttributes,
  quantizedInputs,
  quantizedMatrix,
  tileMatrix,
  type QuantizedAttributes,
  type QuantizedInputs,
} from '@qdylora/quant';
import { numbersOf } from '@qdylora/testing';
import { type CpuBackend } from '../src/index.ts';
import { BLOCK_SIZE, NESTED_OFFSET, type ProblemData, type Product } from './product-problem.ts';

export const COMPUTE = ['f32', 'bf16'] as const;
export type Compute = (typeof COMPUTE)[number];

/**
 * A product with its arrays in the backend's memory. `run` computes it; `answer` reads [tokens, all rows] or
 * [tokens, cols]. Layers that share their input are one call.
 */
export interface PlacedProduct {
  readonly op: string;
  run(): void;
  answer(): Float32Array;
}

export function placed<V extends ArrayView>({ memory }: CpuBackend, view: V): V {
  const copy = memory.allocate(view.dtype, view.shape);
  memory.write(copy, hostData(view));
  return copy as V;
}

/** Rows in the backend's memory as a pass of this compute type holds them. */
const placedRows = (backend: CpuBackend, view: ArrayView<'f32'>, dtype: Compute): FloatView =>
  placed<FloatView>(
    backend,
    dtype === 'bf16' ? viewOf('bf16', view.shape, bfloat16Array(hostData(view))) : view,
  );

/** A weight in the backend's memory as a model holds it: in tiles. */
export interface PlacedWeight {
  readonly operands: QuantizedInputs;
  readonly attributes: QuantizedAttributes;
}

function placedWeight(
  backend: CpuBackend,
  { codes, levels, absmaxCodes, nestedAbsmax, nestedMap }: QuantizedInputs,
  rows: number,
  cols: number,
): PlacedWeight {
  const doubleQuantized = {
    codes: absmaxCodes!,
    absmax: nestedAbsmax!,
    map: nestedMap!,
    offset: NESTED_OFFSET,
    blockSize: NESTED_BLOCK_SIZE,
  } as const;
  const matrix = tileMatrix(
    quantizedMatrix({
      kind: 'nf4',
      shape: [rows, cols],
      blockSize: BLOCK_SIZE,
      codes,
      levels,
      absmax: null,
      doubleQuantized,
    }),
  );
  const operands = Object.fromEntries(
    Object.entries(quantizedInputs(matrix)).map(([name, view]) => [name, view && placed(backend, view)]),
  ) as unknown as QuantizedInputs;
  return { operands, attributes: quantizedAttributes(matrix) };
}

export const placedWeights = (
  backend: CpuBackend,
  { weights, shape: { rows, cols } }: ProblemData,
): PlacedWeight[] => weights.map((weight, i) => placedWeight(backend, weight, rows[i], cols));

const groupAttributes = (weights: readonly PlacedWeight[], cols: number, computeDtype: Compute) => ({
  layers: weights.map(({ attributes }) => ({ ...attributes, scale: 1 })),
  cols,
  computeDtype,
  outDtype: computeDtype,
});
const groupOperands = (weights: readonly PlacedWeight[]) =>
  weights.map(({ operands }, i) => withLayerNumber({ ...operands }, i));

/** Places a product. */
export const placedProduct = (
  backend: CpuBackend,
  product: Product,
  operands: ProductOperands,
): PlacedProduct =>
  (product.direction === 'forward' ? forwardProduct : backwardProduct)(backend, product, operands);

interface ProductOperands {
  readonly weights: readonly PlacedWeight[];
  readonly computeDtype: Compute;
}

function forwardProduct(
  backend: CpuBackend,
  { data, tokens }: Product,
  { weights, computeDtype }: ProductOperands,
): PlacedProduct {
  const { shape, total, x } = data;
  const { rows, cols } = shape;
  const input = placedRows(backend, rowsOf(x, 0, tokens), computeDtype);
  const outputs = rows.map((count) => backend.memory.allocate(computeDtype, [tokens, count]));
  const [only] = weights;
  const inputs = Object.assign({ x: input }, ...groupOperands(weights));
  const attributes = groupAttributes(weights, cols, computeDtype);
  const suppliedOutputs = Object.assign({}, ...outputs.map((y, i) => ({ [`y${i}`]: y })));
  return {
    op: weights.length === 1 ? matmulNf4.name : adaptedLinearGroup.name,
    run: () =>
      weights.length === 1
        ? runOp(
            backend,
            matmulNf4,
            { x: input, ...only!.operands },
            { ...only!.attributes, computeDtype, outDtype: computeDtype },
            { y: outputs[0] },
          )
        : runOp(backend, adaptedLinearGroup, inputs, attributes, suppliedOutputs),
    answer() {
      const all = new Float32Array(tokens * total);
      let column = 0;
      for (const output of outputs) {
        const values = Float32Array.from(numbersOf(output));
        const width = output.shape[1];
        for (let token = 0; token < tokens; token++)
          all.set(values.subarray(token * width, (token + 1) * width), token * total + column);
        column += width;
      }
      return all;
    },
  };
}

function backwardProduct(
  backend: CpuBackend,
  { data, tokens }: Product,
  { weights, computeDtype }: ProductOperands,
): PlacedProduct {
  const { shape, total, x, dy } = data;
  const { rows, cols } = shape;
  const dx = backend.memory.allocate(computeDtype, [tokens, cols]);
  const [only] = weights;
  let column = 0;
  const gradients = rows.map((count) => {
    const part = viewOf('f32', [tokens, count], new Float32Array(tokens * count));
    for (let token = 0; token < tokens; token++)
      hostData(part).set(
        hostData(dy).subarray(token * total + column, token * total + column + count),
        token * count,
      );
    column += count;
    return placedRows(backend, part, computeDtype);
  });
  const pass = { accumulate: false, trainFrom: 0, wantsDx: true };
  const attributes = { ...groupAttributes(weights, cols, computeDtype), ...pass };
  const inputs = Object.assign(
    { x: placedRows(backend, rowsOf(x, 0, tokens), computeDtype) },
    ...groupOperands(weights),
    ...gradients.map((part, i) => ({ [`dy${i}`]: part })),
  );
  return {
    op: weights.length === 1 ? matmulNf4InputGradient.name : adaptedLinearGroupBackward.name,
    run: () =>
      weights.length === 1
        ? runOp(
            backend,
            matmulNf4InputGradient,
            { dy: gradients[0], ...only!.operands },
            { ...only!.attributes, ...pass, computeDtype, outDtype: computeDtype },
            { dx },
          )
        : runOp(backend, adaptedLinearGroupBackward, inputs, attributes, { dx }),
    answer: () => Float32Array.from(numbersOf(dx)),
  };
}
