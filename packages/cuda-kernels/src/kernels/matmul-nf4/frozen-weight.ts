import type { ArrayView, FloatDType, FloatView } from '@qdylora/contract';
import type { QuantizedAttributes, QuantizedInputs } from '@qdylora/quant';
import type { CudaDoor } from '../../launch/launch.ts';
import { elementKind, kindOf } from '../../launch/element-kind.ts';
import { f32, i32, input, output, u32 } from '../../launch/launch.ts';
import { WARP } from '../../launch/row-threads.ts';
import { launchDequantize, scaleArguments } from '../dequantize-blockwise/launch-dequantize.ts';
import { launchProduct, withMatrix } from '../linear/launch-product.ts';
import type { AdapterFactors } from '../linear/product.ts';

/** MOST_TOKENS in matmul-nf4.cu. */
const MOST_FEW_ROWS = 4;
const WARPS_OF_BLOCK = 4;

/** A frozen weight: dense, or the arrays of a packed matrix, of [rows, cols]. */
export type FrozenWeight = Partial<QuantizedInputs> & { readonly weight?: FloatView };

type WeightAttributes = QuantizedAttributes & { readonly computeDtype: FloatDType };

/** Calls `body` with W: [rows, cols], which is decoded to a temporary array where it is packed. */
function withDecoded(
  door: CudaDoor,
  weight: FrozenWeight,
  attributes: WeightAttributes,
  body: (weight: FloatView) => void,
): void {
  if (weight.weight) return body(weight.weight);
  const { rows, cols, computeDtype } = attributes;
  withMatrix(door, { dtype: computeDtype, shape: [rows, cols] }, (decoded) => {
    launchDequantize(door, weight as QuantizedInputs, decoded, attributes);
    body(decoded);
  });
}

/** A product of activations and a frozen weight. */
export interface FrozenProduct {
  /** [tokens, cols] */
  readonly x: FloatView;
  /** [rows] */
  readonly bias?: ArrayView<'f32'>;
  readonly plus?: AdapterFactors;
  /** [tokens, rows] */
  readonly y: FloatView;
}

/** y = x·Wᵀ + bias + plus. */
export function multiplyFrozen(
  door: CudaDoor,
  weight: FrozenWeight,
  { x, bias, plus, y }: FrozenProduct,
  attributes: WeightAttributes,
): void {
  const { cols, blockSize, tiled, computeDtype } = attributes;
  const hasWholeBlocks = tiled || cols % blockSize === 0;
  if (!weight.weight && x.shape[0] <= MOST_FEW_ROWS && hasWholeBlocks) {
    const packed = weight as QuantizedInputs;
    if (!plus) return launchFewRows(door, packed, { x, bias, y }, attributes);
    return withMatrix(door, { dtype: 'f32', shape: y.shape as [number, number] }, (before) => {
      launchFewRows(door, packed, { x, bias, y: before }, attributes);
      launchProduct(door, { form: 'Nn', computeDtype, ...plus, before, c: y });
    });
  }
  withDecoded(door, weight, attributes, (decoded) =>
    launchProduct(door, { form: 'Nt', computeDtype, a: x, b: decoded, plus, bias, c: y }),
  );
}

/** The gradient of a frozen product's input. */
export interface FrozenGradient {
  /** [tokens, rows] */
  readonly dy: FloatView;
  readonly plus?: AdapterFactors;
  /** [tokens, cols]; may be dx. */
  readonly before?: FloatView;
  /** [tokens, cols] */
  readonly dx: FloatView;
}

/** dx = before + dy·W + plus. */
export function frozenInputGradient(
  door: CudaDoor,
  weight: FrozenWeight,
  { dy, plus, before, dx }: FrozenGradient,
  attributes: WeightAttributes,
): void {
  const { computeDtype } = attributes;
  withDecoded(door, weight, attributes, (decoded) =>
    launchProduct(door, { form: 'Nn', computeDtype, a: dy, b: decoded, plus, before, c: dx }),
  );
}

function launchFewRows(
  { launch }: CudaDoor,
  weight: QuantizedInputs,
  { x, bias, y }: Omit<FrozenProduct, 'plus'>,
  { rows, cols, blockSize, nestedOffset, tiled, computeDtype }: WeightAttributes,
): void {
  const tokens = x.shape[0];
  launch({
    module: 'matmul-nf4',
    kernel: weight.absmax ? 'fewRows' : 'fewRowsNested',
    blocks: tokens === 0 ? 0 : Math.ceil(rows / WARPS_OF_BLOCK),
    threads: WARPS_OF_BLOCK * WARP,
    arguments: [
      input(x),
      kindOf(x),
      input(weight.codes),
      input(weight.levels),
      ...scaleArguments(weight),
      input(bias ?? weight.levels),
      i32(bias ? 1 : 0),
      output(y),
      kindOf(y),
      i32(tokens),
      i32(rows),
      i32(cols),
      i32(blockSize),
      u32(tiled ? cols / blockSize : 0),
      i32(elementKind(computeDtype)),
      ...(weight.absmax ? [] : [f32(nestedOffset)]),
    ],
  });
}
