import {
  elementCount,
  hostData,
  narrowHalves,
  viewOf,
  type Arrays,
  type ArrayView,
  type HalfDType,
  type Op,
} from '@qdylora/contract';
import { ALL_CASES, type ConformanceCase } from '@qdylora/testing/conformance';
import { OPERAND_ROUNDING, SMALLEST_STEP, type checkKernel } from '@qdylora/testing';
import type { ComputeDtype } from '@qdylora/tensor';
import fc from 'fast-check';

/** Elements of an array at most: enough for several blocks of the kernels that work by rows. */
const MOST_ELEMENTS = 4200;

/** A call of an op with its bound. */
export interface SmallCall {
  readonly op: Op;
  readonly call: Parameters<typeof checkKernel>[2];
}

const fits = (arrays: Arrays, mostElements = MOST_ELEMENTS): boolean =>
  Object.values(arrays).every((view) => {
    const count = view ? elementCount(view.shape) : 1;
    return count > 0 && count <= mostElements;
  });

/** Some of the parameters of a random call, which take the place of those that were drawn. */
type Sizes = Readonly<Record<string, number | boolean | string>>;

/** Parameters with these sizes; cases of a head hold theirs in a record. */
function withSizes(drawn: unknown, sizes: Sizes): object {
  const parameters = drawn as { readonly sizes?: object };
  if (!parameters.sizes) return { ...parameters, ...sizes };
  const ofHead = Object.entries(sizes).filter(([name]) => name in parameters.sizes!);
  return { ...parameters, ...sizes, sizes: { ...parameters.sizes, ...Object.fromEntries(ofHead) } };
}

/** The cases of the ops. In float16 those that need it, of the ops that have some. */
function casesOf(opNames: readonly string[], half: HalfDType): readonly ConformanceCase[] {
  const cases = ALL_CASES.filter(({ op }) => opNames.includes(op.name));
  const needsFloat16 = ({ needs }: ConformanceCase): boolean => needs === 'float16';
  const inFloat16 = new Set(cases.filter(needsFloat16).map(({ op }) => op.name));
  return cases.filter((one) => needsFloat16(one) === (half === 'f16' && inFloat16.has(one.op.name)));
}

/** Which random calls are taken: with these sizes, and with cases of this type of two bytes. */
interface CallChoice {
  readonly sizes?: Sizes;
  readonly half?: HalfDType;
  readonly mostElements?: number;
}

/** At most `count` small calls of each case of the ops, from the random calls of the conformance suite. */
export function smallCalls(
  opNames: readonly string[],
  count: number,
  { sizes = {}, half = 'bf16', mostElements = MOST_ELEMENTS }: CallChoice = {},
): SmallCall[] {
  return casesOf(opNames, half).flatMap(({ op, random }) => {
    const calls: SmallCall[] = [];
    for (const drawn of random ? fc.sample(random.parameters, { numRuns: 100, seed: 5 }) : []) {
      const { size } = drawn as { size?: unknown };
      if (typeof size === 'number' && size > mostElements) continue;
      const call = random!.call(withSizes(drawn, sizes) as never) as SmallCall['call'];
      if (fits(call.inputs, mostElements)) calls.push({ op, call });
      if (calls.length === count) break;
    }
    return calls;
  });
}

/** At most `count` small edge calls of each case of the ops. */
export const edgeCalls = (opNames: readonly string[], count: number): SmallCall[] =>
  [...casesOf(opNames, 'bf16'), ...casesOf(opNames, 'f16')].flatMap(({ op, edges }) =>
    [...((edges?.() ?? []) as Iterable<SmallCall['call']>)]
      .filter(({ inputs }) => fits(inputs))
      .slice(0, count)
      .map((call) => ({ op, call })),
  );

/** Types of the operands of a product: rounded to two bytes from arrays of both types, or float32. */
const OPERANDS = (['bf16', 'f16', 'f32'] as const).flatMap((computeDtype) => {
  const dtypes = computeDtype === 'f32' ? ['f32', 'bf16'] : [computeDtype, 'f32'];
  return dtypes.map((dtype) => ({ computeDtype, weightDtype: dtype, base: dtype }));
});
const withOperands = (sizes: Sizes): Sizes[] => OPERANDS.map((operands) => ({ ...sizes, ...operands }));
const WITH_AND_WITHOUT = [true, false] as const;

/**
 * Sizes of products with three steps of depth (32 of tensor cores, 16 of multiply-adds): the first tile of
 * shared memory is filled a second time. Rows of multiples of 8 elements are copied by `cp.async`.
 */
const DEEP_SIZES: Readonly<Record<string, readonly Sizes[]>> = {
  linear: withOperands({ tokens: 9, out: 12, columns: 72, hasBias: true }),
  'linear-input-gradient': withOperands({ tokens: 9, out: 72, columns: 16 }),
  'linear-weight-gradient': withOperands({ tokens: 72, out: 16, columns: 24 }),
  // bands and runs: of a packed weight in tiles
  'adapted-linear': withOperands({ tokens: 9, rows: 12, cols: 40, r: 65, bands: 1, runs: 1 }),
  'adapted-linear-backward': [
    ...withOperands({ tokens: 9, rows: 40, cols: 16, r: 72 }),
    ...withOperands({ tokens: 72, rows: 16, cols: 24, r: 8 }),
  ],
  'matmul-nf4': [{ tokens: 9, rows: 12, cols: 128 }],
  ...Object.fromEntries(
    ['linear-cross-entropy', 'linear-distillation'].map((name) => [
      name,
      [
        { tokens: 9, hidden: 72, vocabulary: 16 },
        { tokens: 9, hidden: 16, vocabulary: 72 },
        { tokens: 72, hidden: 16, vocabulary: 24 },
      ],
    ]),
  ),
};

/** At most `count` calls of each deep product of the ops. */
export const deepCalls = (opNames: readonly string[], count: number): SmallCall[] =>
  opNames.flatMap((name) =>
    (DEEP_SIZES[name] ?? []).flatMap((sizes) =>
      smallCalls([name], count, { sizes, half: sizes.computeDtype === 'f16' ? 'f16' : 'bf16' }),
    ),
  );

/** Rows and columns of a full tile and a part of a second one, with and without what is added to the sum. */
const tileSizes = (tile: number): Readonly<Record<string, readonly Sizes[]>> => ({
  linear: WITH_AND_WITHOUT.map((hasBias) => ({ tokens: tile + 3, out: tile + 5, columns: 19, hasBias })),
  'linear-input-gradient': WITH_AND_WITHOUT.map((accumulate) => ({
    tokens: tile + 3,
    out: 19,
    columns: tile + 5,
    accumulate,
  })),
  'linear-weight-gradient': [{ tokens: 19, out: tile + 3, columns: tile + 5 }],
  'adapted-linear': [{ tokens: tile + 3, rows: tile + 5, cols: 19, r: 9, base: 'f32', bands: 1, runs: 1 }],
  'adapted-linear-backward': [{ tokens: tile + 3, rows: 19, cols: tile + 5, r: 9, base: 'f32' }],
});

/** A call of each product that computes in this type, of several tiles of `tile` × `tile`. */
export const productTileCalls = (tile: number, computeDtype: ComputeDtype): SmallCall[] =>
  Object.entries(tileSizes(tile)).flatMap(([name, list]) =>
    list.flatMap((sizes) =>
      smallCalls([name], 1, {
        sizes: { ...sizes, computeDtype },
        half: computeDtype === 'f16' ? 'f16' : 'bf16',
        mostElements: (tile + 5) ** 2,
      }),
    ),
  );

/** Rows that are wider than a block has threads: a thread owns several columns, the last ones not all. */
const WIDE = { tokens: 3, hidden: 300 };
/** So many rows that gradients of weights are sums of eight partial sums (PARTIAL_ROWS). */
const MANY = { tokens: 8 * 32, hidden: 5 };
/**
 * Heads: columns for one, five, seven and eight groups of lanes, and more than a block has threads, with all
 * that a call may ask for; then more tokens than a block has threads.
 */
const HEAD_SIZES: readonly Sizes[] = [
  ...[20, 150, 220, 250, 600].flatMap((vocabulary) =>
    [0, 30].map((softCap) => ({
      tokens: 6,
      hidden: 4,
      vocabulary,
      share: 0.02,
      softCap,
      gradient: true,
      ignored: 0.3,
      isWeighted: softCap > 0,
    })),
  ),
  ...[false, true].map((isWeighted) => ({
    tokens: 300,
    hidden: 2,
    vocabulary: 5,
    share: 1,
    gradient: true,
    ignored: 0,
    isWeighted,
  })),
];
/** More predicted classes than a block has threads, and classes for seven groups of lanes. */
const MANY_CLASSES: readonly Sizes[] = [
  { vocabulary: 600, softCap: 0, isWeighted: false },
  { vocabulary: 600, softCap: 0, isWeighted: true },
  { vocabulary: 600, softCap: 30, isWeighted: false },
  { vocabulary: 220, softCap: 0, isWeighted: false },
].map((sizes) => ({ tokens: 6, hidden: 4, share: 0.9, gradient: true, ignored: 0.3, ...sizes }));
/** Sums over no multiple of four tokens, fewer than four, and more. */
const BIAS_TOKENS = [3, 8, 19];
const WIDE_SIZES: Readonly<Record<string, readonly Sizes[]>> = {
  embedding: [{ hidden: 300 }],
  'layer-norm': [WIDE],
  'layer-norm-backward': [WIDE, MANY],
  // a scale below 2⁻¹⁰⁰ is NaN, and all codes of the row 0
  'quantize-rows': [false, true].flatMap((isHalf) => [
    { rows: 5, cols: 600, scale: 1, isHalf },
    { rows: 2, cols: 600, scale: 1e-36, isHalf },
  ]),
  'residual-norm': [WIDE],
  'rms-norm': [WIDE],
  'rms-norm-backward': [WIDE, MANY],
  'sum-of-squares': [{ size: 3000 }],
  // a tail of one to four rows, by each way of scales and each type of operands
  'matmul-nf4': [1, 2, 3, 4].flatMap((tokens) =>
    [false, true].flatMap((isNested) =>
      ['f32', 'bf16', 'f16'].map((computeDtype) => ({
        tokens,
        rows: 9,
        cols: 320,
        blockSize: 64,
        isNested,
        computeDtype,
        bands: 1,
        runs: 2,
        doubleQuantization: isNested,
        flag: tokens % 2 === 0,
      })),
    ),
  ),
  'linear-weight-gradient': BIAS_TOKENS.map((tokens) => ({ tokens, out: 9, columns: 7, hasBias: true })),
  'quantize-blockwise': [{ size: 33 }, { size: 40 }],
  'linear-cross-entropy': HEAD_SIZES,
  'linear-distillation': [...HEAD_SIZES, ...MANY_CLASSES],
};

/** At most `count` calls of each op with wide rows, and with many. */
export const wideCalls = (opNames: readonly string[], count: number): SmallCall[] =>
  opNames.flatMap((name) =>
    (WIDE_SIZES[name] ?? []).flatMap((sizes) => [
      ...smallCalls([name], count, { sizes }),
      // its matrices of two bytes are no halves of the op
      ...(name === 'quantize-rows' ? smallCalls([name], count, { sizes, half: 'f16' }) : []),
    ]),
  );

/** The arrays that the op takes as halves, in this type. */
const halved = <T extends Arrays>(arrays: T, names: readonly string[], dtype: HalfDType): T =>
  Object.fromEntries(
    Object.entries(arrays).map(([name, view]) => [
      name,
      view?.dtype === 'f32' && names.includes(name)
        ? viewOf(dtype, view.shape, narrowHalves(dtype, hostData(view as ArrayView<'f32'>)))
        : view,
    ]),
  ) as T;

/**
 * The same call in a type of two bytes, where the op has halves. A result is rounded from a float32 that need
 * not be the reference's to the last bit: it may be off by one step, twice the error of a rounding, or the
 * smallest step of the type. Inputs move by one rounding, and the bound with them.
 */
export function halvedCall({ op, call }: SmallCall, dtype: HalfDType): SmallCall {
  const rounding = OPERAND_ROUNDING[dtype];
  const names = (op.halves ?? []) as readonly string[];
  const attributes = call.attributes as Record<string, unknown>;
  return {
    op,
    call: {
      ...call,
      inputs: halved(call.inputs, names, dtype),
      suppliedOutputs: call.suppliedOutputs && halved(call.suppliedOutputs, names, dtype),
      attributes: { ...attributes, outDtype: dtype, dxDtype: dtype },
      bound: (name, index, want) =>
        (1 + 4 * rounding) * call.bound(name, index, want) +
        (names.includes(name) ? 2 * rounding * Math.abs(want) + SMALLEST_STEP[dtype] : 0),
    },
  };
}
