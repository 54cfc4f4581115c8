import {
  assertShape,
  badArgument,
  defineOp,
  f32Array,
  f32View,
  floatArray,
  optional,
  type Arrays,
  type ArraySpec,
  type ArrayView,
  type FloatDType,
  type FloatView,
  type ArrayRule,
} from '@qdylora/contract';
import type { ComputeDtype } from '@qdylora/tensor';
import {
  adaptedLinear,
  adaptedLinearBackward,
  assertBase,
  BASE_INPUTS,
  type AdaptedAttributes,
  type BaseOperands,
} from './adapted-linear.ts';
import { assertParts, assertTrainFrom, type RankPart } from './rank-parts.ts';

type F32 = ArrayView<'f32'>;

/** Maximum number of layers in a group: q, k and v. */
export const GROUP_LAYERS = 3;

/**
 * The attributes of one layer: its frozen weight as in `AdaptedAttributes`, and the factor on B·A (1 without
 * an adapter).
 */
export type GroupLayer = Pick<AdaptedAttributes, 'rows' | 'blockSize' | 'nestedOffset' | 'tiled' | 'scale'>;

/** Attributes of `adaptedLinearGroup`: its layers, and the properties that they share. */
export interface GroupAttributes {
  readonly layers: readonly GroupLayer[];
  /** Columns of every weight: the features of x. */
  readonly cols: number;
  readonly computeDtype: ComputeDtype;
  /** As in `AdaptedAttributes`. */
  readonly parts?: readonly RankPart[];
  /** Of every y; default f32. */
  readonly outDtype?: FloatDType;
}

/**
 * The arrays of one layer. In a group, their names end with the layer's number: `codes0`, `a0`, `y0`,
 * `codes1` …
 */
export interface LayerOperands extends BaseOperands {
  readonly bias?: F32;
  readonly a?: F32;
  readonly b?: F32;
  readonly y?: FloatView;
  readonly u?: F32;
  readonly dy?: FloatView;
  readonly da?: F32;
  readonly db?: F32;
}

const NAMES = [
  'weight',
  'codes',
  'levels',
  'absmax',
  'absmaxCodes',
  'nestedAbsmax',
  'nestedMap',
  'bias',
  'a',
  'b',
  'y',
  'u',
  'dy',
  'da',
  'db',
] as const;

/** The names of one layer's arrays, by role. */
export type LayerNames = Readonly<Record<(typeof NAMES)[number], string>>;

const namesWith = (suffix: string | number): LayerNames =>
  Object.fromEntries(NAMES.map((name) => [name, `${name}${suffix}`])) as LayerNames;

/**
 * The names in a single layer, and in each layer of a group. They are created once, because V8 looks up
 * constant strings faster than concatenated ones.
 */
export const LAYER_NAMES = namesWith('');
/** The names of the arrays of each layer of a group: [GROUP_LAYERS] */
export const GROUP_NAMES: readonly LayerNames[] = Array.from({ length: GROUP_LAYERS }, (_, i) =>
  namesWith(i),
);

/** The arrays of layer i that are present in `arrays`. */
export function layerOperands(arrays: Arrays, i: number): LayerOperands {
  const operands: Record<string, ArrayView> = {};
  const names = GROUP_NAMES[i];
  for (const name of NAMES) {
    const array = arrays[names[name]];
    if (array) operands[name] = array;
  }
  return operands;
}

/** A record of one layer with its keys renamed to those of layer i in a group. */
export function withLayerNumber<T>(record: Readonly<Record<string, T>>, i: number): Record<string, T> {
  const renamed: Record<string, T> = {};
  const names = GROUP_NAMES[i];
  for (const name in record) renamed[names[name as keyof LayerNames]] = record[name]!;
  return renamed;
}

/**
 * The input rules of a layer, repeated for each layer of a group. All are optional, since a group may have
 * fewer layers.
 */
const ofEachLayer = (rules: Readonly<Record<string, ArrayRule>>): Record<string, ArrayRule> =>
  Object.assign({}, ...GROUP_NAMES.map((_, i) => withLayerNumber(rules, i))) as Record<string, ArrayRule>;

/** The rank of the layers with an adapter; 0 if none has one. */
export function groupRank(arrays: Arrays, { layers }: GroupAttributes): number {
  let rank = 0;
  for (let i = 0; i < layers.length; i++) rank = Math.max(rank, arrays[GROUP_NAMES[i].a]?.shape[0] ?? 0);
  return rank;
}

/**
 * One to three frozen layers that read the same x, each with or without a nested adapter (`adapted-linear`).
 * All adapters have one rank.
 *
 * x: [tokens, in]; for layer i the bias, a, b and weight arrays of `adapted-linear`
 * →   yᵢ: [tokens, outᵢ]   uᵢ: [tokens, r], if it has an adapter
 *
 * @throws QdyloraError BAD_ARGUMENT for more than three layers or adapters of several ranks; BAD_SHAPE
 */
export const adaptedLinearGroup = defineOp({
  name: 'adapted-linear-group',
  takes: {
    x: floatArray(2),
    ...ofEachLayer({
      ...BASE_INPUTS,
      bias: optional(f32Array(1)),
      a: optional(f32Array(2)),
      b: optional(f32Array(2)),
    }),
  },
  halves: ['x', ...GROUP_NAMES.map(({ y }) => y)],
  shapes(inputs: Arrays, attributes: GroupAttributes): Record<string, ArraySpec | undefined> {
    const { layers, cols, outDtype = 'f32' } = attributes;
    const x = inputs.x!;
    const tokens = x.shape[0];
    const r = assertLayers('adapted-linear-group', inputs, attributes, { needsWeights: true });
    assertShape('adapted-linear-group', 'x', x.shape, [-1, cols]);
    const specs: Record<string, ArraySpec | undefined> = {};
    for (let i = 0; i < layers.length; i++) {
      specs[GROUP_NAMES[i].y] = { dtype: outDtype, shape: [tokens, layers[i].rows] };
      specs[GROUP_NAMES[i].u] = inputs[GROUP_NAMES[i].a] && { dtype: 'f32', shape: [tokens, r] };
    }
    return specs;
  },
  flops: ({ x, ...arrays }, attributes) => {
    const r = groupRank(arrays, attributes);
    return (
      2 *
      x!.shape[0] *
      attributes.layers.reduce(
        (sum, { rows }, i) =>
          sum + rows * attributes.cols + (arrays[GROUP_NAMES[i].a] ? r * (rows + attributes.cols) : 0),
        0,
      )
    );
  },
  reference(inputs, outputs: Arrays, attributes) {
    attributes.layers.forEach((_, i) => {
      const { y, u, ...operands } = withEmptyAdapter(
        { ...layerOperands(inputs, i), ...layerOperands(outputs, i) },
        inputs.x as F32,
        attributes,
        i,
      );
      adaptedLinear.reference(
        { ...operands, x: inputs.x as F32 } as never,
        { y: y!, u: u! },
        { ...attributes, ...attributes.layers[i], parts: inputs[GROUP_NAMES[i].a] && attributes.parts },
      );
    });
  },
});

/** As in `AdaptedBackwardAttributes`. */
export interface GroupBackwardAttributes extends GroupAttributes {
  readonly accumulate: boolean;
  readonly trainFrom: number;
  readonly wantsDx: boolean;
}

/**
 * The gradients of a group: dx = Σ over its layers, each as in `adapted-linear-backward`.
 *
 * x: [tokens, in]; for layer i dyᵢ: [tokens, outᵢ], uᵢ: [tokens, r], a, b and weight arrays
 * →   dx: [tokens, in]   daᵢ: [r − trainFrom, in]   dbᵢ: [r − trainFrom, outᵢ]
 *
 * @throws as `adapted-linear-group`
 */
export const adaptedLinearGroupBackward = defineOp({
  name: 'adapted-linear-group-backward',
  takes: {
    x: floatArray(2),
    ...ofEachLayer({
      ...BASE_INPUTS,
      dy: optional(floatArray(2)),
      u: optional(f32Array(2)),
      a: optional(f32Array(2)),
      b: optional(f32Array(2)),
    }),
  },
  addsWhereAsked: 'dx',
  accumulates: GROUP_NAMES.flatMap(({ da, db }) => [da, db]),
  halves: ['x', 'dx', ...GROUP_NAMES.map(({ dy }) => dy)],
  shapes(inputs: Arrays, attributes: GroupBackwardAttributes): Record<string, ArraySpec | undefined> {
    const { layers, cols, trainFrom, wantsDx } = attributes;
    assertTrainFrom('adapted-linear-group-backward', trainFrom);
    const x = inputs.x!;
    const r = assertLayers('adapted-linear-group-backward', inputs, attributes, { needsWeights: wantsDx });
    assertShape('adapted-linear-group-backward', 'x', x.shape, [-1, cols]);
    layers.forEach(({ rows }, i) => {
      const { dy, u, a } = GROUP_NAMES[i];
      assertShape('adapted-linear-group-backward', dy, inputs[dy]?.shape ?? [], [x.shape[0], rows]);
      if (inputs[a]) assertShape('adapted-linear-group-backward', u, inputs[u]?.shape ?? [], [x.shape[0], r]);
    });
    const specs: Record<string, ArraySpec | undefined> = {
      dx: wantsDx ? { dtype: x.dtype as FloatDType, shape: x.shape } : undefined,
    };
    for (let i = 0; i < layers.length; i++) {
      if (!inputs[GROUP_NAMES[i].a]) continue;
      specs[GROUP_NAMES[i].da] = { dtype: 'f32', shape: [r - trainFrom, cols] };
      specs[GROUP_NAMES[i].db] = { dtype: 'f32', shape: [r - trainFrom, layers[i].rows] };
    }
    return specs;
  },
  flops({ x, ...arrays }, attributes) {
    const { layers, cols, trainFrom, wantsDx } = attributes;
    const r = groupRank(arrays, attributes);
    return (
      2 *
      x!.shape[0] *
      layers.reduce(
        (sum, { rows }, i) =>
          sum +
          (wantsDx ? rows * cols : 0) +
          (arrays[GROUP_NAMES[i].a]
            ? r * rows + (r - trainFrom) * (rows + cols) + (wantsDx ? r * cols : 0)
            : 0),
        0,
      )
    );
  },
  reference(inputs, outputs: Arrays, attributes) {
    const x = inputs.x as F32;
    const dx = outputs.dx as F32 | undefined;
    attributes.layers.forEach((layer, i) => {
      const { da, db, ...operands } = withEmptyAdapter(
        { ...layerOperands(inputs, i), ...layerOperands(outputs, i) },
        x,
        attributes,
        i,
      );
      const trainFrom = Math.min(attributes.trainFrom, operands.a!.shape[0]);
      adaptedLinearBackward.reference(
        { ...operands, x } as never,
        { dx, da, db },
        {
          ...attributes,
          ...layer,
          trainFrom,
          parts: inputs[GROUP_NAMES[i].a] && attributes.parts,
          accumulate: attributes.accumulate || i > 0,
        },
      );
    });
  },
});

/** The layer's operands; a layer without an adapter gets one of rank 0. */
function withEmptyAdapter(
  operands: LayerOperands,
  x: F32,
  { cols, layers }: GroupAttributes,
  i: number,
): LayerOperands {
  if (operands.a) return operands;
  const nothing = (shape: readonly number[]): F32 => f32View(shape, new Float32Array(0));
  return {
    ...operands,
    a: nothing([0, cols]),
    b: nothing([0, layers[i].rows]),
    u: nothing([x.shape[0], 0]),
  };
}

/** Checks weight, bias and adapter of each layer.  @returns the rank of the adapters; 0 if there are none */
function assertLayers(
  where: string,
  inputs: Arrays,
  attributes: GroupAttributes,
  { needsWeights }: { readonly needsWeights: boolean },
): number {
  const { layers, cols, parts } = attributes;
  if (layers.length < 1 || layers.length > GROUP_LAYERS)
    throw badArgument(where, `a group must have 1 to ${GROUP_LAYERS} layers (got ${layers.length})`);
  const r = groupRank(inputs, attributes);
  for (let i = 0; i < layers.length; i++) {
    const names = GROUP_NAMES[i];
    const { rows } = layers[i];
    const a = inputs[names.a];
    const b = inputs[names.b];
    const bias = inputs[names.bias];
    if (needsWeights) assertBase(where, inputs, { ...layers[i], cols }, names);
    if (bias) assertShape(where, names.bias, bias.shape, [rows]);
    if (!a !== !b) throw badArgument(where, `${names.a} and ${names.b} must both be present, or neither`);
    if (!a) continue;
    if (a.shape[0] !== r)
      throw badArgument(
        where,
        `the adapters of a group must have one rank (got ` +
          `${layers.map((_, j) => inputs[GROUP_NAMES[j].a]?.shape[0] ?? 'none').join(', ')})`,
      );
    assertParts(where, parts, inputs.x!.shape[0], r);
    assertShape(where, names.a, a.shape, [r, cols]);
    assertShape(where, names.b, b!.shape, [r, rows]);
  }
  return r;
}
