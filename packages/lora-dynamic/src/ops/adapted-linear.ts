import {
  hostData,
  assertShape,
  badArgument,
  defineOp,
  f32Array,
  floatArray,
  optional,
  rounderTo,
  u8Array,
  type ArraySpec,
  type ArrayView,
  type FloatDType,
  type FloatView,
  type Arrays,
} from '@qdylora/contract';
import { assertQuantized, matmulNf4, matmulNf4InputGradient, QUANTIZED_INPUTS } from '@qdylora/quant';
import { linear, linearInputGradient, type ComputeDtype } from '@qdylora/tensor';
import { assertParts, assertTrainFrom, partAt, type RankPart } from './rank-parts.ts';

type F32 = ArrayView<'f32'>;
type U8 = ArrayView<'u8'>;

/** The frozen weight of an adapted layer: either `weight` (dense), or the arrays of a packed matrix. */
export interface BaseOperands {
  [name: string]: ArrayView | undefined;
  /** [out, in] */
  readonly weight?: FloatView;
  readonly codes?: U8;
  readonly levels?: F32;
  readonly absmax?: F32;
  readonly absmaxCodes?: U8;
  readonly nestedAbsmax?: F32;
  readonly nestedMap?: F32;
}

/**
 * `rows` = out, `cols` = in. `blockSize`, `nestedOffset` and `tiled` describe a packed weight (0 for a dense
 * one). `scale`: the factor on B·A.
 */
export interface AdaptedAttributes {
  readonly rows: number;
  readonly cols: number;
  readonly blockSize: number;
  readonly nestedOffset: number;
  readonly tiled?: boolean;
  /**
   * A type of two bytes: both operands of every product are rounded to it, also in the adapter (the scaled u
   * or g). Sums are float32.
   */
  readonly computeDtype: ComputeDtype;
  readonly scale: number;
  /**
   * Token ranges at different ranks. Their u and g are multiplied by the part's factor, and are 0 beyond its
   * rank. Default: all tokens use all rows of `a` and `b`.
   */
  readonly parts?: readonly RankPart[];
  /** False: compute only u, because nothing reads y. */
  readonly wantsY?: boolean;
  /** Of y; default f32. */
  readonly outDtype?: FloatDType;
}

/** The rules of the inputs in `BaseOperands`. */
export const BASE_INPUTS = {
  weight: optional(floatArray(2)),
  ...QUANTIZED_INPUTS,
  codes: optional(u8Array(1)),
  levels: optional(f32Array(1)),
};

/** The names of the arrays of a frozen weight. */
export type BaseNames = Readonly<Record<keyof typeof BASE_INPUTS, string>>;

const BASE_NAMES = Object.fromEntries(Object.keys(BASE_INPUTS).map((name) => [name, name])) as BaseNames;

/** The attributes that describe the weight. */
type BaseAttributes = Pick<AdaptedAttributes, 'rows' | 'cols' | 'blockSize' | 'nestedOffset' | 'tiled'>;

/**
 * @throws QdyloraError BAD_ARGUMENT unless there is a dense weight or a packed one, and not both; BAD_SHAPE
 */
export function assertBase(
  where: string,
  inputs: Arrays,
  attributes: BaseAttributes,
  names: BaseNames = BASE_NAMES,
): void {
  const weight = inputs[names.weight];
  const codes = inputs[names.codes];
  const levels = inputs[names.levels];
  const { rows, cols } = attributes;
  if (!weight === !codes || !codes !== !levels)
    throw badArgument(
      where,
      `the base must be either ${names.weight}, or ${names.codes}, ${names.levels} and the scales of a ` +
        `packed matrix (got ${presentNames(inputs)})`,
    );
  if (weight) assertShape(where, names.weight, weight.shape, [rows, cols]);
  else assertQuantized(where, inputs, attributes, names);
}

const presentNames = (inputs: Arrays): string =>
  Object.keys(inputs)
    .filter((name) => inputs[name])
    .join(', ');

type ForwardInputs = BaseOperands & {
  readonly x: FloatView;
  readonly xAdapter?: FloatView;
  readonly bias?: F32;
  readonly a: F32;
  readonly b: F32;
};

/**
 * A frozen layer and its nested adapter at rank r in one op (Rajabzadeh et al. 2024):
 *
 * u = xAdapter·Aᵀ,   y = x·Wᵀ + bias + scale·u·B
 *
 * `a` and `b` are the first r rows of the adapter, so a kernel cannot read beyond r. B is stored transposed.
 * `xAdapter` is x after dropout; default x.
 *
 * x, xAdapter: [tokens, in], f32, bf16 or f16   a: [r, in]   b: [r, out]   bias: [out]
 * →   y: [tokens, out]   u: [tokens, r]
 */
export const adaptedLinear = defineOp({
  name: 'adapted-linear',
  takes: {
    x: floatArray(2),
    xAdapter: optional(floatArray(2)),
    bias: optional(f32Array(1)),
    a: f32Array(2),
    b: f32Array(2),
    ...BASE_INPUTS,
  },
  halves: ['x', 'xAdapter', 'y'],
  shapes(i: ForwardInputs, attributes: AdaptedAttributes): { y: ArraySpec | undefined; u: ArraySpec } {
    const { rows, cols, parts, wantsY = true, outDtype = 'f32' } = attributes;
    const tokens = i.x.shape[0];
    const r = i.a.shape[0];
    assertShape('adapted-linear', 'x', i.x.shape, [-1, cols]);
    if (i.xAdapter) assertShape('adapted-linear', 'xAdapter', i.xAdapter.shape, i.x.shape);
    if (i.bias) assertShape('adapted-linear', 'bias', i.bias.shape, [rows]);
    if (wantsY) assertBase('adapted-linear', i, attributes);
    assertShape('adapted-linear', 'a', i.a.shape, [-1, cols]);
    assertShape('adapted-linear', 'b', i.b.shape, [r, rows]);
    assertParts('adapted-linear', parts, tokens, r);
    return {
      y: wantsY ? { dtype: outDtype, shape: [tokens, rows] } : undefined,
      u: { dtype: 'f32', shape: [tokens, r] },
    };
  },
  flops: ({ x, a }, { rows, cols, wantsY = true }) =>
    2 * x.shape[0] * (a.shape[0] * cols + (wantsY ? rows * cols + a.shape[0] * rows : 0)),
  reference(inputs, { y, u }: { y?: FloatView; u: F32 }, attributes) {
    const { x, xAdapter = x, bias, a, b } = inputs;
    const { rows, cols, scale, computeDtype, parts } = attributes;
    const [tokens, r] = u.shape as [number, number];
    const round = rounderTo(computeDtype);
    const adapterInput = hostData(xAdapter);
    const aData = hostData(a);
    const bData = hostData(b);
    const uData = hostData(u);
    const yData = y && hostData(y);
    if (y && inputs.weight) linear.reference({ x, weight: inputs.weight, bias }, { y }, attributes);
    else if (y) matmulNf4.reference(inputs as never, { y }, attributes);
    for (let t = 0; t < tokens; t++) {
      const { rank, factor } = partAt(parts, t, { rank: r, trainFrom: 0 });
      const uRow = new Float64Array(r); // 0 beyond the rank of the token's part
      for (let k = 0; k < rank; k++) {
        let sum = 0;
        for (let j = 0; j < cols; j++) sum += round(adapterInput[t * cols + j]) * round(aData[k * cols + j]);
        uRow[k] = factor * sum;
      }
      uData.set(uRow, t * r);
      if (!yData) continue;
      for (let o = 0; o < rows; o++) {
        let sum = 0;
        for (let k = 0; k < r; k++) sum += round(scale * uRow[k]) * round(bData[k * rows + o]);
        yData[t * rows + o] += sum;
      }
    }
  },
});

/**
 * `accumulate`: add to the supplied dx. `trainFrom`: rows below it get no gradient. `wantsDx`: compute dx
 * (and dxAdapter). `dxDtype`: of both, default f32.
 */
export interface AdaptedBackwardAttributes extends AdaptedAttributes {
  readonly accumulate: boolean;
  readonly trainFrom: number;
  readonly wantsDx: boolean;
  readonly dxDtype?: FloatDType;
}

/** `x` may be absent if dx is computed and da is not. */
type BackwardInputs = BaseOperands & {
  readonly dy: FloatView;
  readonly x?: FloatView;
  readonly xAdapter?: FloatView;
  readonly u: F32;
  readonly a: F32;
  readonly b: F32;
};

/**
 * With g = scale·dy·Bᵀ:
 * dx = dy·W + g·A,   dA += gᵀ·xAdapter,   dB += scale·uᵀ·dy
 *
 * Only rows trainFrom … r−1 of A and B get a gradient. A token contributes only from its part's `trainFrom`
 * on, multiplied by the part's `weight`. u is the result of the forward op with the same parts. With
 * xAdapter, g·A goes to dxAdapter instead of dx.
 *
 * dy: [tokens, out], f32, bf16 or f16
 * →   dx, dxAdapter: [tokens, in]   da: [r − trainFrom, in]   db: [r − trainFrom, out]
 */
export const adaptedLinearBackward = defineOp({
  name: 'adapted-linear-backward',
  takes: {
    dy: floatArray(2),
    x: optional(floatArray(2)),
    xAdapter: optional(floatArray(2)),
    u: f32Array(2),
    a: f32Array(2),
    b: f32Array(2),
    ...BASE_INPUTS,
  },
  addsWhereAsked: 'dx',
  accumulates: ['da', 'db'],
  halves: ['dy', 'x', 'xAdapter', 'dx', 'dxAdapter'],
  shapes(i: BackwardInputs, attributes: AdaptedBackwardAttributes) {
    const { rows, cols, trainFrom, wantsDx, dxDtype = 'f32', parts } = attributes;
    const r = i.a.shape[0];
    const tokens = i.dy.shape[0];
    const dx: ArraySpec | undefined = wantsDx ? { dtype: dxDtype, shape: [tokens, cols] } : undefined;
    if (!i.x && !wantsDx)
      throw badArgument('adapted-linear-backward', 'x is missing: gradients of the adapter need it');
    if (i.x) assertShape('adapted-linear-backward', 'x', i.x.shape, [tokens, cols]);
    assertShape('adapted-linear-backward', 'dy', i.dy.shape, [-1, rows]);
    assertShape('adapted-linear-backward', 'u', i.u.shape, [tokens, r]);
    assertShape('adapted-linear-backward', 'a', i.a.shape, [r, cols]);
    assertShape('adapted-linear-backward', 'b', i.b.shape, [r, rows]);
    if (i.xAdapter) assertShape('adapted-linear-backward', 'xAdapter', i.xAdapter.shape, [tokens, cols]);
    if (wantsDx) assertBase('adapted-linear-backward', i, attributes);
    assertTrainFrom('adapted-linear-backward', trainFrom);
    assertParts('adapted-linear-backward', parts, tokens, r);
    const da: ArraySpec = { dtype: 'f32', shape: [r - trainFrom, cols] };
    const db: ArraySpec = { dtype: 'f32', shape: [r - trainFrom, rows] };
    return { dx, dxAdapter: i.xAdapter && dx, da, db };
  },
  flops({ dy, a }, { rows, cols, trainFrom, wantsDx }) {
    const r = a.shape[0];
    const gradients = (r - trainFrom) * (rows + cols);
    return 2 * dy.shape[0] * (r * rows + gradients + (wantsDx ? rows * cols + r * cols : 0));
  },
  reference(
    inputs,
    { dx, dxAdapter, da, db }: { dx?: FloatView; dxAdapter?: FloatView; da?: F32; db?: F32 },
    attributes,
  ) {
    const { dy, x, xAdapter = x, u, a, b } = inputs;
    const { rows, cols, scale, trainFrom, accumulate, computeDtype, parts } = attributes;
    const [tokens, r] = u.shape as [number, number];
    const round = rounderTo(computeDtype);
    const dyData = hostData(dy);
    const adapterInput = xAdapter && hostData(xAdapter);
    const uData = hostData(u);
    const aData = hostData(a);
    const bData = hostData(b);
    const g = new Float64Array(tokens * r); // [tokens, r]
    const partOf = Array.from({ length: tokens }, (_, t) => partAt(parts, t, { rank: r, trainFrom }));
    for (let t = 0; t < tokens; t++) {
      const { rank, factor } = partOf[t];
      for (let k = 0; k < rank; k++) {
        let sum = 0;
        for (let o = 0; o < rows; o++) sum += round(dyData[t * rows + o]) * round(bData[k * rows + o]);
        g[t * r + k] = scale * factor * sum;
      }
    }
    if (dx && inputs.weight)
      linearInputGradient.reference({ dy, weight: inputs.weight }, { dx }, { ...attributes, accumulate });
    else if (dx) matmulNf4InputGradient.reference(inputs as never, { dx }, { ...attributes, accumulate });
    const target = dxAdapter ?? dx;
    const targetData = target && hostData(target);
    for (let t = 0; t < tokens && targetData; t++) {
      for (let j = 0; j < cols; j++) {
        let sum = dxAdapter ? 0 : targetData[t * cols + j];
        for (let k = 0; k < r; k++) sum += round(g[t * r + k]) * round(aData[k * cols + j]);
        targetData[t * cols + j] = sum;
      }
    }
    for (let k = trainFrom; k < r; k++) {
      const weightOf = (t: number): number => (k >= partOf[t].trainFrom ? (partOf[t].weight ?? 1) : 0);
      addProducts(
        rowOf(da, k - trainFrom),
        tokens,
        (t, j) => round(weightOf(t) * g[t * r + k]) * round(adapterInput![t * cols + j]),
      );
      addProducts(
        rowOf(db, k - trainFrom),
        tokens,
        (t, o) => round(weightOf(t) * scale * uData[t * r + k]) * round(dyData[t * rows + o]),
      );
    }
  },
});

/** A row of a gradient, in place; undefined for a gradient that nobody wants. */
function rowOf(gradient: F32 | undefined, row: number): Float32Array | undefined {
  if (!gradient) return undefined;
  const width = gradient.shape[1];
  return hostData(gradient).subarray(row * width, (row + 1) * width);
}

/** row[j] += Σ_t product(t, j). */
function addProducts(
  row: Float32Array | undefined,
  tokens: number,
  product: (t: number, j: number) => number,
): void {
  for (let j = 0; row && j < row.length; j++) {
    let sum = row[j];
    for (let t = 0; t < tokens; t++) sum += product(t, j);
    row[j] = sum;
  }
}
